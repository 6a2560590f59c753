#ifndef PUMA_CLIENT_CLI_JSON_DOCUMENT_H_
#define PUMA_CLIENT_CLI_JSON_DOCUMENT_H_
// Documents that are none of the API's messages. Their keys keep their order.
#include <nlohmann/json.hpp>

#include "client/cli/output.h"

namespace puma::client {

using Json = nlohmann::ordered_json;

// Looks as the API's messages do; what is no UTF-8 is replaced.
inline void PrintJson(const Output& output, const Json& document) {
  const std::string text = document.dump(1, ' ', false, Json::error_handler_t::replace);
  output.Data(output.format() == Format::kYaml ? YamlOf(text) : text + "\n");
}

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_JSON_DOCUMENT_H_
