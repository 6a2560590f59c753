#ifndef PUMA_TESTS_JOURNAL_TEMPORARY_DIRECTORY_H_
#define PUMA_TESTS_JOURNAL_TEMPORARY_DIRECTORY_H_
#include <cstdlib>
#include <filesystem>
#include <string>

namespace puma::server {

// A directory of this test alone, gone with it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(mkdtemp(template_)) {}
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  char template_[32] = "/tmp/puma-test-XXXXXX";
  const std::string path_;
};

}  // namespace puma::server
#endif  // PUMA_TESTS_JOURNAL_TEMPORARY_DIRECTORY_H_
