//! Who may come in.

use headwater_http::Client;

use crate::support::{Certificates, client, echo, get, start};

fn user(name: &str, password: &str) -> Client {
    client(&format!(
        "basic_auth: {{username: {name}, password: {password}}}"
    ))
}

fn users(name: &str, password: &str) -> String {
    format!(
        "basic_auth_users: {{{name}: {}}}\n",
        bcrypt::hash(password, 4).unwrap()
    )
}

#[tokio::test]
async fn only_known_users_with_their_password() {
    let files = Certificates::new();
    let server = start(files.settings(&users("ann", "right")), echo).await;
    let url = server.url("/");
    assert_eq!(get(&user("ann", "right"), &url).await.unwrap().0, 200);
    for stranger in [user("ann", "wrong"), user("bob", "right"), client("")] {
        assert_eq!(
            get(&stranger, &url).await.unwrap(),
            (401, "Unauthorized\n".to_owned())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_a_broken_one_does_not() {
    let files = Certificates::new();
    let server = start(files.settings(&users("ann", "one")), echo).await;
    let url = server.url("/");
    let (one, two) = (user("ann", "one"), user("ann", "two"));
    assert_eq!(get(&one, &url).await.unwrap().0, 200);

    files.write("web.yml", &format!("# changed\n{}", users("ann", "two")));
    assert_eq!(get(&one, &url).await.unwrap().0, 401);
    assert_eq!(get(&two, &url).await.unwrap().0, 200);

    files.write("web.yml", "basic_auth_usres: {}\n");
    assert_eq!(get(&two, &url).await.unwrap().0, 200);
    assert_eq!(get(&client(""), &url).await.unwrap().0, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_password_file_is_read_for_every_request() {
    let files = Certificates::new();
    files.write("password", "one\n");
    let server = start(files.settings(&users("ann", "two")), echo).await;
    let path = files.path("password");
    let client = client(&format!(
        "basic_auth: {{username: ann, password_file: {path}}}"
    ));
    assert_eq!(get(&client, &server.url("/")).await.unwrap().0, 401);
    files.write("password", "two\n");
    assert_eq!(get(&client, &server.url("/")).await.unwrap().0, 200);
    std::fs::remove_file(&path).unwrap();
    let error = get(&client, &server.url("/"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("unable to read password file {path}: ")),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn security_headers_are_sent() {
    let files = Certificates::new();
    let settings = files.settings("http_server_config: {headers: {X-Frame-Options: deny}}");
    let server = start(settings, echo).await;
    let request = http::Request::get(server.url("/"))
        .body(bytes::Bytes::new())
        .unwrap();
    let response = client("").send(request).await.unwrap();
    assert_eq!(response.headers()["x-frame-options"], "deny");
    server.stop().await;
}
