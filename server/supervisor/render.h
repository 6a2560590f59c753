#ifndef PUMA_SERVER_SUPERVISOR_RENDER_H_
#define PUMA_SERVER_SUPERVISOR_RENDER_H_
// Messages as JSON: numbers, texts and vectors of numbers, which their type's name says, and structs and protobuf messages, whose type
// has said how they are to be read. Both come from a module, the bytes from a lane: strangers all.
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "google/protobuf/struct.pb.h"
#include "puma/v1/resources.pb.h"

namespace puma::server {

// Thread-safe.
class Renderer {
 public:
  // The C++ type, as the compiler names it, "" when it isn't known; and what PortInfo says of it.
  Renderer(std::string type, v1::PayloadSchema schema);
  ~Renderer();
  const std::string& type() const { return type_; }
  // Nothing: the type isn't known, these bytes are no such thing, or it would be a value of more than 100,000 parts.
  std::optional<google::protobuf::Value> Render(std::string_view bytes) const;

 private:
  class Messages;
  std::optional<google::protobuf::Value> RenderStructs(std::string_view bytes) const;

  const std::string type_;
  const v1::PayloadSchema schema_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<const Messages> messages_;  // made when the first one is shown
};

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_RENDER_H_
