#ifndef PUMA_CLIENT_CLI_REFERENCE_H_
#define PUMA_CLIENT_CLI_REFERENCE_H_
// What the command line is, read off its own description: the manual page, and what a shell may offer next.
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace puma::client {

// The page puma-ctl(1), as roff.
std::string ManPage(const CLI::App& app);

// Words of a kind that only the host or the contexts' file know. `kind` is "task", "pipeline", "buffer", "type", "name" (a task or a
// pipeline), "command" (of the task `of`) or "context".
using KnownWords = std::function<std::vector<std::string>(const std::string& kind, const std::string& of)>;
// What may stand in the place of the last of `words` (those after the program's name; the last one may be empty), each with a help text
// behind a tab, or not. The only one ":file": a file.
std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words, const KnownWords& known);

// The script that makes bash, zsh or fish ask puma-ctl. INVALID_ARGUMENT: another shell.
absl::StatusOr<std::string> CompletionScript(const std::string& shell);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_REFERENCE_H_
