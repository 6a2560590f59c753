#ifndef PUMA_SERVER_CONFIG_CHECK_SPEC_H_
#define PUMA_SERVER_CONFIG_CHECK_SPEC_H_
// Is a spec right, before anything of it is started? All mistakes are told at once, each with the path of its field.
#include <map>
#include <string>

#include "absl/status/status.h"
#include "puma/v1/resources.pb.h"
#include "puma/v1/spec.pb.h"
#include "server/config/command_catalogue.h"

namespace puma::server {

// What can be seen in the spec alone. `out` gets it with all defaults filled in (also when it is wrong, as far as that goes).
// INVALID_ARGUMENT with google.rpc.BadRequest.
absl::Status CheckSpec(const v1::PipelineSpec& in, v1::PipelineSpec* out);

// What needs the types of the modules: `types` by "module.Type". Unknown types, parameters and ports, values of a wrong type, what is
// required and missing, ports of one buffer whose C++ types differ, and what CommandOf says of tasks that run one of `commands`. `spec` has
// passed CheckSpec. INVALID_ARGUMENT with google.rpc.BadRequest.
absl::Status CheckTypes(const v1::PipelineSpec& spec, const std::map<std::string, v1::RunnableType>& types,
                        const CommandCatalogue& commands = {});

// Whether it can be the name of a pipeline, buffer or task.
bool IsName(const std::string& name);
inline constexpr char kNameForm[] = "1 to 63 of a-z, 0-9 and \"-\", beginning with a letter";

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_CHECK_SPEC_H_
