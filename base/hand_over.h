#pragma once

#if defined(_GLIBCXX_TSAN)  // the preset tsan; the compiler's own macro is taken back there
extern "C" void __tsan_acquire(void* at);
extern "C" void __tsan_release(void* at);
#endif

// Where an object goes to another thread through a library that was built without the thread sanitizer, it
// does not see the library's locks and calls everything behind them a race. These two say what the library
// does. They order nothing by themselves, and are nothing in other builds.
namespace afdg {

/// What this thread wrote so far goes with `what`. Returns it.
template <typename T>
T* hand_over(T* what) noexcept {
#if defined(_GLIBCXX_TSAN)
  __tsan_release(const_cast<void*>(static_cast<const void*>(what)));
#endif
  return what;
}
/// This thread has it now, from whoever handed it over. Returns it.
template <typename T>
T* take_over(T* what) noexcept {
#if defined(_GLIBCXX_TSAN)
  __tsan_acquire(const_cast<void*>(static_cast<const void*>(what)));
#endif
  return what;
}

}  // namespace afdg
