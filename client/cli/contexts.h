#ifndef PUMA_CLIENT_CLI_CONTEXTS_H_
#define PUMA_CLIENT_CLI_CONTEXTS_H_
// Hosts by name, in a file of the user's: where each is, and what says who you are there.
//   current: lab
//   contexts:
//     lab: {host: "lab1:7777", ca: ca.pem, cert: me.pem, key: me.key}    # files: seen from the directory of this one
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "puma/client/client.h"

namespace puma::client {

struct Context {
  std::string host;  // as --host
  Options::Tls tls;
  std::string token_file;
};

struct Contexts {
  std::string current;  // "": none
  std::map<std::string, Context> all;
  // NOT_FOUND says which there are.
  absl::StatusOr<Context> Find(const std::string& name) const;
};

// $PUMA_CONFIG, else puma/config.yaml in $XDG_CONFIG_HOME or ~/.config. "": there is no place for one.
std::string ContextsFile();
// Empty when there is no such file. INVALID_ARGUMENT: file:line and what is wrong there.
absl::StatusOr<Contexts> ReadContexts(const std::string& file);
// Replaces the file as a whole, for its owner only; makes its directory.
absl::Status WriteContexts(const std::string& file, const Contexts& contexts);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_CONTEXTS_H_
