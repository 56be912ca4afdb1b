// Index files as bytes: to damage them, and to make the damage look sound.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/index_format.hpp"
#include "kernels/dispatch.hpp"

namespace annbench::tests {

using FileBytes = std::vector<unsigned char>;

// A folder of its own that is gone afterwards; in memory where there is such a place, because a disk is slow to forget.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const bool in_memory = access("/dev/shm", W_OK) == 0;
    std::string path = in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    path += "/annbench-test-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) std::abort();
    path_ = path;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      found.push_back(entry.path().filename().string());
    return found;
  }

 private:
  std::string path_;
};

inline FileBytes bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return FileBytes(std::istreambuf_iterator<char>(file), {});
}

inline void write_file(const std::string& path, const FileBytes& bytes) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}

inline IndexHeader header_of(const FileBytes& bytes) {
  IndexHeader header;
  std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof(header)));
  return header;
}

// Puts a header back with the CRC that it should have.
inline void put_header(IndexHeader header, FileBytes& bytes) {
  header.prelude.header_crc = crc_of_header({reinterpret_cast<const unsigned char*>(&header), sizeof(header)});
  std::memcpy(bytes.data(), &header, std::min(bytes.size(), sizeof(header)));
}

// Corrects every CRC, of whatever lies where the table says: only the checks of structure stand between this and a
// loader.
inline void reseal(FileBytes& bytes) {
  if (bytes.size() < sizeof(IndexHeader)) return;
  IndexHeader header = header_of(bytes);
  for (IndexEntry& entry : header.entries)
    if (entry.offset <= bytes.size() && entry.bytes <= bytes.size() - entry.offset && entry.name[0] != '\0')
      entry.crc = active_kernels().crc32c(0, bytes.data() + entry.offset, entry.bytes);
  put_header(header, bytes);
}

}  // namespace annbench::tests
