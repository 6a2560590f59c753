#ifndef PUMA_SERVER_SUPERVISOR_TYPE_CATALOGUE_H_
#define PUMA_SERVER_SUPERVISOR_TYPE_CATALOGUE_H_
// What is known of the runnable types of modules, as long as their files stay the same.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "puma/v1/services.pb.h"
#include "server/supervisor/render.h"

namespace puma::server {

// Only the loop's thread uses it.
class TypeCatalogue {
 public:
  // True: `path` was described and has not changed since (size, time of change).
  bool Fresh(const std::string& module, const std::string& path) const;
  // Keeps the JSON that a worker made of the module, or why it could not.
  void Put(const std::string& module, const std::string& path, const absl::StatusOr<std::string>& description);
  // The types of a module; the reason when it could not be described; NOT_FOUND: never tried.
  absl::StatusOr<std::vector<v1::RunnableType>> TypesOf(const std::string& module) const;
  // How the messages of an output of a runnable type ("flow.Counter") are shown. Never null: what is not known is shown as bytes.
  std::shared_ptr<const Renderer> RendererOf(const std::string& type, const std::string& port) const;

 private:
  struct Entry {
    std::string stamp;
    absl::StatusOr<std::vector<v1::RunnableType>> types;
    std::map<std::string, std::shared_ptr<const Renderer>> renderers;  // by "types/flow.Counter numbers"
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_TYPE_CATALOGUE_H_
