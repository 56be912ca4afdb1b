#include <sys/wait.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <condition_variable>
#include <set>
#include <stdexcept>
#include <thread>

#include "support/thread_pool.hpp"
#include "support/write_preferring_mutex.hpp"
#include "tests/check.hpp"

namespace annbench::tests {
namespace {

// Every index once, workers below `threads`, and no worker's number twice at the same time.
void check_coverage(std::size_t count, std::size_t threads, std::size_t grain) {
  const std::string label = "parallel_for count " + std::to_string(count) + " threads " + std::to_string(threads) +
                            " grain " + std::to_string(grain);
  std::vector<std::atomic<int>> seen(count), busy(threads + 1);
  std::atomic<bool> in_bounds = true, alone = true;
  parallel_for(
      count, threads,
      [&](std::size_t begin, std::size_t end, std::size_t worker) {
        if (worker >= std::max<std::size_t>(threads, 1) || begin >= end || end > count) {
          in_bounds = false;
          return;
        }
        if (busy[worker]++ != 0) alone = false;
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
        --busy[worker];
      },
      grain);
  check(in_bounds, label + ": ranges and workers within bounds");
  check(alone, label + ": no worker twice at once");
  bool once = true;
  for (const auto& times : seen) once = once && times == 1;
  check(once, label + ": every index once");
}

// Both threads have to be inside at the same time for this to end.
void check_that_threads_are_used() {
  std::mutex mutex;
  std::condition_variable met;
  std::set<std::size_t> workers;
  bool main_helped = false, named = false;
  const std::thread::id main = std::this_thread::get_id();
  parallel_for(2, 2, [&](std::size_t, std::size_t, std::size_t worker) {
    std::unique_lock<std::mutex> lock(mutex);
    workers.insert(worker);
    if (std::this_thread::get_id() == main) {
      main_helped = true;
    } else {
      char name[16] = {};
      pthread_getname_np(pthread_self(), name, sizeof(name));
      named = std::string(name).rfind("annbench-", 0) == 0;
    }
    met.notify_all();
    met.wait(lock, [&] { return workers.size() == 2; });
  });
  check(workers == std::set<std::size_t>{0, 1} && main_helped, "the caller and one other thread work");
  check(named, "a thread of the pool has a name");
  const std::size_t before = pool_threads();
  for (int i = 0; i < 100; ++i) check_coverage(20, 2, 1);
  check(before >= 1 && pool_threads() == before, "threads are kept, not started anew");
}

void check_exceptions() {
  for (const std::size_t threads : {1, 2, 4}) {
    std::string what;
    try {
      parallel_for(1000, threads, [&](std::size_t begin, std::size_t, std::size_t) {
        if (begin == 0) throw std::runtime_error("range 0");
      }, threads == 1 ? 0 : 1);
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    check(what == "range 0", "an exception reaches the caller, threads " + std::to_string(threads));
  }
  int thrown = 0;
  std::atomic<int> begun = 0;
  for (int i = 0; i < 50; ++i) try {
      parallel_for(64, 4, [&](std::size_t begin, std::size_t, std::size_t) { ++begun; throw begin; }, 1);
    } catch (const std::size_t&) {
      ++thrown;
    }
  check(thrown == 50, "where every range throws, the caller sees one exception");
  // A worker has noted its exception before it asks for the next range.
  check(begun >= 50 && begun <= 50 * 4, "no range is begun after an exception");
  check_coverage(100, 4, 1);
}

void check_nested_and_concurrent() {
  std::atomic<std::size_t> sum = 0;
  const auto inner = [&](std::size_t begin, std::size_t end, std::size_t) { sum += end - begin; };
  const auto outer = [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t i = begin; i < end; ++i) parallel_for(50, 3, inner, 1);
  };
  parallel_for(20, 3, outer, 1);
  check(sum == 20 * 50, "a parallel_for inside another");

  sum = 0;
  std::atomic<int> caught = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 100; ++i) {
        parallel_for(97, 4, inner, caller % 3);
        try {
          parallel_for(10, 3, [](std::size_t begin, std::size_t, std::size_t) {
            if (begin == 7) throw std::runtime_error("7");
          }, 1);
        } catch (const std::runtime_error&) {
          ++caught;
        }
      }
    });
  for (std::thread& caller : callers) caller.join();
  check(sum == 8 * 100 * 97, "eight callers at once");
  check(caught == 8 * 100, "each of eight callers gets its own exceptions");
}

// In a child of fork() the parent's threads do not exist; TSan refuses threads there.
void check_fork() {
#if !defined(__SANITIZE_THREAD__)
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a hang is a death, not a hang of the tests
    std::atomic<std::size_t> sum = 0;
    std::atomic<int> inside = 0;
    parallel_for(2, 2, [&](std::size_t begin, std::size_t end, std::size_t) {
      sum += end - begin;
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
    _exit(sum == 2 && pool_threads() == 1 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child of fork() has a pool of its own");
#endif
}

// Readers who keep coming do not keep a writer waiting: hangs where they do.
void check_writers_go_first() {
  WritePreferringMutex mutex;
  std::atomic<bool> written = false;
  mutex.lock_shared();
  std::thread writer([&] {
    const std::lock_guard lock(mutex);
    written = true;
  });
  while (mutex.try_lock_shared()) {
    mutex.unlock_shared();
    std::this_thread::yield();
  }
  check(!written, "a writer waits for who reads");
  mutex.unlock_shared();
  writer.join();
  check(written, "and then writes");
  check(mutex.try_lock_shared() && !mutex.try_lock(), "one who reads keeps writers out");
  mutex.unlock_shared();
  check(mutex.try_lock() && !mutex.try_lock_shared(), "one who writes keeps all out");
  mutex.unlock();
}

}  // namespace

void test_thread_pool() {
  for (const std::size_t count : {0, 1, 2, 3, 7, 64, 1000})
    for (const std::size_t threads : {0, 1, 2, 4, 9})
      for (const std::size_t grain : {0, 1, 5, 2000}) check_coverage(count, threads, grain);
  check_that_threads_are_used();
  check_exceptions();
  check_nested_and_concurrent();
  check_fork();
  check_writers_go_first();
}

}  // namespace annbench::tests
