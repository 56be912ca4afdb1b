#include "support/thread_pool.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace annbench {
namespace {

// One parallel_for, on the stack of its caller. All but `call` and what it needs is guarded by the pool's mutex; ranges
// are long beside the time that it is held.
struct Job {
  thread_pool_detail::RangeFn call;
  const void* context;
  std::size_t count, grain, threads;
  std::size_t next = 0;     // where the next range begins
  std::size_t workers = 1;  // numbers given out; the caller is 0
  std::size_t helpers = 0;  // pool threads inside
  std::exception_ptr error = nullptr;
  std::condition_variable left = {};
  Job* after = nullptr;

  bool wants_help() const { return next < count && workers < threads; }
};

struct Pool {
  std::mutex mutex;
  std::condition_variable work;
  Job* jobs = nullptr;
  std::size_t threads = 0;
};

// Never destroyed: its threads outlive main. Built anew in a child of fork(), which has none of them, whatever state
// the parent's was in.
alignas(Pool) unsigned char memory[sizeof(Pool)];
void build() { new (memory) Pool; }
[[maybe_unused]] const bool built_at_load = (build(), pthread_atfork(nullptr, nullptr, build) == 0);

Pool& pool() { return *std::launder(reinterpret_cast<Pool*>(memory)); }

// Takes ranges of a job until there are none. The lock is held at entry and at exit.
void work_on(Job& job, std::size_t worker, std::unique_lock<std::mutex>& lock) {
  while (job.next < job.count) {
    const std::size_t begin = job.next;
    job.next += std::min(job.grain, job.count - begin);
    const std::size_t end = job.next;
    lock.unlock();
    std::exception_ptr error;
    try {
      job.call(job.context, begin, end, worker);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !job.error) job.error = std::move(error);
    if (job.error) job.next = job.count;
  }
}

Job* job_that_wants_help(const Pool& pool) {
  Job* job = pool.jobs;
  while (job != nullptr && !job->wants_help()) job = job->after;
  return job;
}

[[noreturn]] void help_for_ever(Pool& pool, std::size_t number) {
  char name[16];  // as much as Linux keeps
  std::snprintf(name, sizeof(name), "annbench-%zu", number);
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
  std::unique_lock<std::mutex> lock(pool.mutex);
  for (;;) {
    Job* job = nullptr;
    pool.work.wait(lock, [&] { return (job = job_that_wants_help(pool)) != nullptr; });
    ++job->helpers;
    work_on(*job, job->workers++, lock);
    // Under the lock: the job is gone as soon as its caller sees that nobody is left in it.
    if (--job->helpers == 0) job->left.notify_one();
  }
}

// Starts threads until there are `wanted`, or as many as the system allows. Signals stay with the threads of the
// program.
void grow(Pool& pool, std::size_t wanted) {
  if (pool.threads >= wanted) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    for (; pool.threads < wanted; ++pool.threads) {
      const std::size_t number = pool.threads;
      std::thread([&pool, number] { help_for_ever(pool, number); }).detach();
    }
  } catch (...) {
    // Fewer threads: slower, and as right.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void remove(Pool& pool, const Job& job) {
  Job** link = &pool.jobs;
  while (*link != &job) link = &(*link)->after;
  *link = job.after;
}

}  // namespace

namespace thread_pool_detail {

void run(std::size_t count, std::size_t threads, std::size_t grain, RangeFn call, const void* context) {
  threads = std::min({threads, count, max_pool_threads + 1});
  if (grain == 0) grain = std::max<std::size_t>(1, count / (4 * threads));
  Pool& pool = annbench::pool();
  Job job{call, context, count, grain, threads};
  std::unique_lock<std::mutex> lock(pool.mutex);
  grow(pool, threads - 1);
  job.after = pool.jobs;
  pool.jobs = &job;
  for (std::size_t i = 1; i < threads; ++i) pool.work.notify_one();
  work_on(job, 0, lock);
  remove(pool, job);
  job.left.wait(lock, [&] { return job.helpers == 0; });
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace thread_pool_detail

std::size_t pool_threads() {
  Pool& shared = pool();
  const std::lock_guard<std::mutex> lock(shared.mutex);
  return shared.threads;
}

}  // namespace annbench
