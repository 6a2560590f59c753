#ifndef PUMA_SERVER_CONFIG_SPEC_CHECKS_H_
#define PUMA_SERVER_CONFIG_SPEC_CHECKS_H_
// The parts of CheckSpec; only this room includes it. `spec` has its defaults filled in.
#include <algorithm>
#include <string>
#include <vector>

#include "puma/v1/spec.pb.h"
#include "server/config/error_details.h"

namespace puma::server {

void FillDefaults(v1::PipelineSpec& spec);

void CheckTask(const v1::PipelineSpec& spec, const std::string& name, const v1::TaskSpec& task, FieldViolations& wrong);
void CheckBuffer(const std::string& name, const v1::BufferSpec& buffer, FieldViolations& wrong);
// Who publishes into which buffer, and who reads it.
void CheckWiring(const v1::PipelineSpec& spec, FieldViolations& wrong);
// depends_on: unknown names, conditions that can't come true, circles.
void CheckDependencies(const v1::PipelineSpec& spec, FieldViolations& wrong);

// Of a pipeline, buffer or task.
void CheckName(const std::string& field, const std::string& name, FieldViolations& wrong);

// The buffer that a port is connected to.
inline const std::string& BufferOf(const std::string& output) { return output; }
inline const std::string& BufferOf(const v1::InputSpec& input) { return input.buffer(); }

// The keys of a map field, sorted.
template <class Map>
std::vector<std::string> KeysOf(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& entry : map) keys.push_back(entry.first);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace puma::server
#endif  // PUMA_SERVER_CONFIG_SPEC_CHECKS_H_
