/// Asks the processor to bring the cache line of an address, which may be any
/// number: nothing is read.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    prefetch_x86(address);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "there is no safe way to prefetch; it halves the time of cold appends"
)]
#[inline(always)]
fn prefetch_x86(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch never faults and changes no memory, whatever the
    // address; SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
}
