#ifndef PUMA_TESTS_LOGGING_FOLDER_H_
#define PUMA_TESTS_LOGGING_FOLDER_H_
// A folder of a test's own, that is gone afterwards.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace puma::tests {

class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "puma-logging.XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / name) << text;
    return *this / name;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(*this / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // In the order of their names.
  std::vector<std::string> Names(const std::string& below = "") const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(*this / below, error)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::string path_;
};

}  // namespace puma::tests
#endif  // PUMA_TESTS_LOGGING_FOLDER_H_
