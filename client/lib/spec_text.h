#ifndef PUMA_CLIENT_LIB_SPEC_TEXT_H_
#define PUMA_CLIENT_LIB_SPEC_TEXT_H_
// The opposite of spec_file.h: a spec as YAML, as a whole and field by field. What is written is read as the same message again.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>
#include <string>

#include "puma/v1/spec.pb.h"

namespace puma::client {

// The file, in the order of the message's fields; maps by key.
std::string ToYaml(const v1::PipelineSpec& spec);

// A part of a spec in one line: "{capacity: 64MiB, on_full: block}".
std::string ToYamlLine(const google::protobuf::Message& message);

// Every field that is set, by its path, as the file has it: "tasks.loader.params.rate" -> "30Hz". Lists are one field.
std::map<std::string, std::string> FieldsOf(const google::protobuf::Message& message);

// The word for an enum's value: OnFull, "ON_FULL_DROP_OLDEST" -> "drop_oldest".
std::string EnumWord(const google::protobuf::EnumDescriptor* type, const std::string& value);

}  // namespace puma::client
#endif  // PUMA_CLIENT_LIB_SPEC_TEXT_H_
