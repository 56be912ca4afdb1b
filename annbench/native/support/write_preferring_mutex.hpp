// Many readers or one writer, of whom a writer goes first: while one waits no new reader enters.
//
// std::shared_mutex leaves this to the library, and glibc lets readers in as long as there are others: where
// searches follow each other without a gap, what changes the index would wait for ever. A thread must not lock it
// twice, not even for reading.
#pragma once

#include <pthread.h>

namespace annbench {

// What std::unique_lock and std::shared_lock ask for.
class WritePreferringMutex {
 public:
  WritePreferringMutex() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
#if defined(__GLIBC__)
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  WritePreferringMutex(const WritePreferringMutex&) = delete;
  WritePreferringMutex& operator=(const WritePreferringMutex&) = delete;
  ~WritePreferringMutex() { pthread_rwlock_destroy(&lock_); }

  void lock() { pthread_rwlock_wrlock(&lock_); }
  bool try_lock() { return pthread_rwlock_trywrlock(&lock_) == 0; }
  void unlock() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() { pthread_rwlock_rdlock(&lock_); }
  bool try_lock_shared() { return pthread_rwlock_tryrdlock(&lock_) == 0; }
  void unlock_shared() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

}  // namespace annbench
