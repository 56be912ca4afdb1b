#include "io/read_runs.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "io/index_file.hpp"

namespace annbench {
namespace {

// How many bytes of a run are in memory anyway, from its beginning on, which then are read; 0 where that is not known.
std::size_t read_at_once([[maybe_unused]] const OpenFile& file, [[maybe_unused]] const Run& run) {
#if defined(__linux__) && defined(RWF_NOWAIT)
  const iovec into{run.to, run.bytes};
  const ssize_t got = ::preadv2(file.number, &into, 1, static_cast<off_t>(run.offset), RWF_NOWAIT);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
#else
  return 0;
#endif
}

void ask_for([[maybe_unused]] const OpenFile& file, [[maybe_unused]] const Run& run) {
#if defined(POSIX_FADV_WILLNEED)
  ::posix_fadvise(file.number, static_cast<off_t>(run.offset), static_cast<off_t>(run.bytes), POSIX_FADV_WILLNEED);
#endif
}

}  // namespace

void read_at(const OpenFile& file, const Run& run) {
  for (std::size_t done = 0; done < run.bytes;) {
    const ssize_t got = ::pread(file.number, run.to + done, run.bytes - done, static_cast<off_t>(run.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw IndexFileError(file.path, "cannot be read: " + std::generic_category().message(errno),
                           "try again or copy the file to another disk");
    if (got == 0)
      throw IndexFileError(file.path + ": file",
                           "ended at byte " + std::to_string(run.offset + done) + " while it was read", damaged_file);
    done += static_cast<std::size_t>(got);
  }
}

void read_all(const OpenFile& file, std::span<const Run> runs) {
  if (runs.size() == 1) return read_at(file, runs.front());
  std::vector<Run> waiting;
  for (const Run& run : runs) {
    const std::size_t got = read_at_once(file, run);
    if (got < run.bytes) waiting.push_back({run.offset + got, run.bytes - got, run.to + got});
  }
  if (waiting.size() > 1)
    for (const Run& run : waiting) ask_for(file, run);
  for (const Run& run : waiting) read_at(file, run);
}

void expect_random_reads([[maybe_unused]] const OpenFile& file) {
#if defined(POSIX_FADV_RANDOM)
  ::posix_fadvise(file.number, 0, 0, POSIX_FADV_RANDOM);
#endif
}

}  // namespace annbench
