// The threads of every search: started when first wanted, then kept.
//
// parallel_for(count, threads, fn) calls fn(begin, end, worker) until [0, count) is covered once, by the calling thread
// and by at most threads − 1 others. `worker` is below `threads`, and no two calls of one parallel_for that run at the
// same time have the same one: it can name a buffer of its own.
//
// The caller always works itself and waits only for ranges that somebody has begun. So several callers at once, or a
// parallel_for inside another, cannot block each other: who finds no free thread does it all alone.
// The first exception ends the loop (ranges begun are finished, others are not begun) and is thrown to the caller.
// threads <= 1 or count <= 1 is a plain call. A child process of fork() starts threads of its own.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace annbench {

inline constexpr std::size_t max_pool_threads = 256;

namespace thread_pool_detail {

using RangeFn = void (*)(const void* context, std::size_t begin, std::size_t end, std::size_t worker);
void run(std::size_t count, std::size_t threads, std::size_t grain, RangeFn call, const void* context);

}  // namespace thread_pool_detail

// `grain` is the length of a range; 0 chooses one that leaves every thread a few, so that none ends long after the
// others.
template <class Fn>
void parallel_for(std::size_t count, std::size_t threads, const Fn& fn, std::size_t grain = 0) {
  if (count == 0) return;
  if (threads <= 1 || count == 1) return static_cast<void>(fn(std::size_t{0}, count, std::size_t{0}));
  const auto call = [](const void* context, std::size_t begin, std::size_t end, std::size_t worker) {
    (*static_cast<const Fn*>(context))(begin, end, worker);
  };
  thread_pool_detail::run(count, threads, grain, call, std::addressof(fn));
}

// How many threads the pool of this process has started.
std::size_t pool_threads();

}  // namespace annbench
