#ifndef EDGES_FILE_H_
#define EDGES_FILE_H_
#include <cstdio>
#include <memory>

namespace edges {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace edges
#endif  // EDGES_FILE_H_
