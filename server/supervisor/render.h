#ifndef PUMA_SERVER_SUPERVISOR_RENDER_H_
#define PUMA_SERVER_SUPERVISOR_RENDER_H_
// Messages of types that describe themselves by their names, as JSON.
#include <optional>
#include <string_view>

#include "google/protobuf/struct.pb.h"

namespace puma::server {

// A message of the C++ type `type`, as the compiler names it: a number, a text or a vector of numbers. Nothing: the type is none of these,
// or these bytes are no such thing.
std::optional<google::protobuf::Value> Render(std::string_view type, std::string_view bytes);

}  // namespace puma::server
#endif  // PUMA_SERVER_SUPERVISOR_RENDER_H_
