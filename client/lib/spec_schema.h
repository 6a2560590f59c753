#ifndef PUMA_CLIENT_LIB_SPEC_SCHEMA_H_
#define PUMA_CLIENT_LIB_SPEC_SCHEMA_H_
// A JSON Schema (draft 2020-12) of spec files, so that editors complete and check them: what SpecFile reads, as far as a schema can say it.
#include <google/protobuf/descriptor.h>

#include <string>

namespace puma::client {

// `spec`: puma.v1.PipelineSpec, from a pool with source information: its comments become the descriptions.
std::string SpecSchema(const google::protobuf::Descriptor& spec);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SPEC_SCHEMA_H_
