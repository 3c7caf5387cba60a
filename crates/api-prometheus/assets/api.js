// Questions to the server.

/** Asks; throws an Error with the server's own words if there is no answer. */
export async function ask(path, parameters = {}, signal) {
  const form = new URLSearchParams(parameters);
  const get = `api/v1/${path}?${form}`;
  // Long expressions do not fit an address.
  const answer = get.length < 2000
    ? await fetch(get, { signal })
    : await fetch(`api/v1/${path}`, { method: "POST", body: form, signal });
  const text = await answer.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`${answer.status}: ${text.trim() || answer.statusText}`);
  }
  if (body.status !== "success") throw new Error(body.error ?? `status ${answer.status}`);
  return body;
}
