// puma-host. Typed by a person it becomes the shim, which starts it again as `puma-host --serve` on an inherited socket, and anew whenever
// it dies.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/access/access_control.h"
#include "server/config/command_catalogue.h"
#include "server/config/module_catalogue.h"
#include "server/journal/journal.h"
#include "server/rpc/api_server.h"
#include "server/supervisor/supervisor.h"
#include "server/telemetry/feeds.h"
#include "worker/platform/system.h"
#include "worker/shim/protocol.h"

namespace puma::server {
namespace {

constexpr int kBadConfiguration = 78;  // EX_CONFIG: the shim does not try again

struct Flags {
  std::string state_directory, socket, listen, log_file, commands, access;
  std::string listen_tls, tls_certificate, tls_key, tls_client_ca;
  std::vector<std::string> modules;
  bool insecure = false, serve = false, version = false;
};

std::string FromEnvironment(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

std::filesystem::path ProgramDirectory() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

void FillDefaults(Flags& flags) {
  const bool root = geteuid() == 0;
  const std::string home = FromEnvironment("HOME", "/tmp");
  if (flags.state_directory.empty())
    flags.state_directory = root ? "/var/lib/puma" : FromEnvironment("XDG_STATE_HOME", home + "/.local/state") + "/puma";
  flags.state_directory = std::filesystem::absolute(flags.state_directory).lexically_normal().string();
  if (flags.socket.starts_with("unix:")) flags.socket.erase(0, strlen("unix:"));  // as clients write it
  if (!flags.socket.empty()) flags.listen = "unix:" + std::filesystem::absolute(flags.socket).string();
  if (flags.listen.empty()) {
    const std::string runtime = root ? "/run" : FromEnvironment("XDG_RUNTIME_DIR", flags.state_directory);
    flags.listen = absl::StrCat("unix:", runtime, "/puma/puma.sock");
  }
  if (flags.log_file.empty()) flags.log_file = flags.state_directory + "/puma.log";
  if (!flags.modules.empty()) return;
  const std::filesystem::path installed = ProgramDirectory().parent_path() / "lib" / "puma" / "modules";
  if (std::filesystem::is_directory(installed)) flags.modules.push_back(installed.string());
}

// The module that every host has comes first: no other one can take its name.
std::vector<std::string> WithBuiltIn(std::vector<std::string> directories) {
  const std::filesystem::path built_in = ProgramDirectory().parent_path() / "lib" / "puma" / "builtin";
  if (std::filesystem::is_directory(built_in)) directories.insert(directories.begin(), built_in.string());
  return directories;
}

// Beside this program, or where an installation has it.
std::string FindProgram(const std::string& name) {
  const std::filesystem::path here = ProgramDirectory();
  for (const std::filesystem::path& place : {here / name, here.parent_path() / "libexec" / "puma" / name}) {
    if (access(place.c_str(), X_OK) == 0) return place.string();
  }
  return "";
}

int Fail(const std::string& why) {
  std::fprintf(stderr, "puma-host: %s\n", why.c_str());
  return kBadConfiguration;
}

int BecomeShim(const Flags& flags) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(flags.state_directory, error);
  if (error)
    return Fail(absl::StrCat("state directory ", flags.state_directory, ": ", error.message(), "; choose another one with --state-dir"));
  if (made) std::filesystem::permissions(flags.state_directory, std::filesystem::perms::owner_all, error);
  const std::string shim = FindProgram("puma-shim"), worker = FindProgram("puma-worker");
  if (shim.empty() || worker.empty()) return Fail("puma-shim and puma-worker must lie beside puma-host or in ../libexec/puma");
  std::vector<std::string> words{shim,
                                 "--state-dir",
                                 flags.state_directory,
                                 "--host",
                                 std::filesystem::read_symlink("/proc/self/exe").string(),
                                 "--worker",
                                 worker,
                                 "--",
                                 "--serve",
                                 "--state-dir",
                                 flags.state_directory,
                                 "--listen",
                                 flags.listen,
                                 "--log-file",
                                 std::filesystem::absolute(flags.log_file).string()};
  for (const std::string& directory : flags.modules) {
    words.push_back("--modules");
    words.push_back(std::filesystem::absolute(directory).string());
  }
  for (const auto& [name, path] : {std::pair{"--commands", &flags.commands},
                                   {"--access", &flags.access},
                                   {"--tls-cert", &flags.tls_certificate},
                                   {"--tls-key", &flags.tls_key},
                                   {"--tls-client-ca", &flags.tls_client_ca}}) {
    if (path->empty()) continue;
    words.push_back(name);
    words.push_back(std::filesystem::absolute(*path).string());
  }
  if (!flags.listen_tls.empty()) words.insert(words.end(), {"--listen-tls", flags.listen_tls});
  if (flags.insecure) words.push_back("--insecure-loopback");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(shim.c_str(), arguments.data());
  return Fail(absl::StrCat("executing ", shim, ": ", std::strerror(errno)));
}

// SIGTERM and SIGINT as a descriptor; blocked in every thread that is made later.
UniqueFd EndSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void MakeSocketDirectory(const std::string& listen) {
  if (!absl::StartsWith(listen, "unix:")) return;
  const std::filesystem::path directory = std::filesystem::path(listen.substr(5)).parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(directory, error)) chmod(directory.c_str(), 0750);
}

ApiServer::Options ApiOptions(const Flags& flags) {
  ApiServer::Options options;
  options.address = flags.listen;
  options.allow_insecure_loopback = flags.insecure;
  if (flags.listen_tls.empty()) return options;
  options.tls = {flags.listen_tls, {flags.tls_certificate, flags.tls_key, flags.tls_client_ca}, flags.state_directory + "/tls"};
  return options;
}

int Serve(const Flags& flags) {
  struct stat socket {};
  if (fstat(shim::kHostSocket, &socket) != 0 || !S_ISSOCK(socket.st_mode))
    return Fail("--serve is for the shim; start puma-host without it");
  // The socket itself stays open until the process has exited: a host without its socket is no host, and would be killed before it can say
  // why it gives up.
  UniqueFd shim_socket(fcntl(shim::kHostSocket, F_DUPFD_CLOEXEC, shim::kHostSocket + 1));
  fcntl(shim::kHostSocket, F_SETFD, FD_CLOEXEC);
  const UniqueFd signals = EndSignals();
  RegisterMembarrier();

  absl::StatusOr<std::unique_ptr<LogStore>> logs = LogStore::Open({.file = flags.log_file, .echo_to_stderr = true});
  if (!logs.ok()) return Fail(std::string(logs.status().message()));
  absl::StatusOr<ModuleCatalogue> modules = ModuleCatalogue::Open(WithBuiltIn(flags.modules));
  if (!modules.ok()) return Fail(std::string(modules.status().message()));
  absl::StatusOr<CommandCatalogue> commands = CommandCatalogue::Open(flags.commands);
  if (!commands.ok()) return Fail(std::string(commands.status().message()));
  absl::StatusOr<std::unique_ptr<AccessControl>> access = AccessControl::Open(flags.access);
  if (!access.ok()) return Fail(std::string(access.status().message()));
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(flags.state_directory + "/journal.db", [&](const std::string& warning) { (*logs)->Own(3, warning); });
  if (!journal.ok()) return Fail(std::string(journal.status().message()));
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) return Fail(std::string(loop.status().message()));

  TaskFeed feed;
  EventFeed events;
  Supervisor::Options options;
  options.version = PUMA_VERSION;
  options.state_directory = flags.state_directory;
  options.log_file = flags.log_file;
  options.module_directories = flags.modules;
  options.commands = *std::move(commands);
  options.shim = std::move(shim_socket);
  Supervisor supervisor(**loop, **journal, {&feed, &events, logs->get()}, *modules, std::move(options));

  MakeSocketDirectory(flags.listen);
  // Listening comes before Hello: a socket that is in use ends this attempt before the shim has anything to keep.
  absl::StatusOr<std::unique_ptr<ApiServer>> api =
      ApiServer::Start(ApiOptions(flags), &supervisor, {&feed, &events, logs->get()}, access->get());
  if (!api.ok()) return Fail(std::string(api.status().message()));
  if (absl::Status begun = supervisor.Begin(); !begun.ok()) return Fail(std::string(begun.message()));
  (*loop)->Watch(signals.get(), [&] { supervisor.Quit(); });
  const std::string also = (*api)->tls_address().empty() ? "" : absl::StrCat(" and ", (*api)->tls_address(), " (TLS)");
  (*logs)->Own(2, absl::StrCat("serving ", (*api)->address(), also, "; log file ", flags.log_file));

  const absl::Status ended = supervisor.Run();
  (*api)->Shutdown();
  journal->reset();  // its writer's last callbacks post to the loop
  if (!ended.ok()) (*logs)->Own(4, absl::StrCat("ended: ", std::string(ended.message())));
  (void)(*logs)->Flush();
  return ended.ok() ? 0 : 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Runs pipelines of tasks and serves the API that controls them. Stop it with SIGTERM: that ends its tasks.", "puma-host");
  app.add_option("--state-dir", flags.state_directory, "Where its state is kept (default: /var/lib/puma, or ~/.local/state/puma)");
  CLI::Option* socket =
      app.add_option("--socket", flags.socket, "Unix socket to serve (default: /run/puma/puma.sock, or $XDG_RUNTIME_DIR/puma/puma.sock)");
  app.add_option("--listen", flags.listen, "Address to serve: unix:PATH, or 127.0.0.1:PORT together with --insecure-loopback")
      ->excludes(socket);
  app.add_option("--modules", flags.modules, "Directory with modules of runnables; may be given several times");
  app.add_option("--commands", flags.commands, "File with the commands that tasks of type puma.Exec may run (default: none)");
  app.add_option("--access", flags.access,
                 "File that says which users, certificates and tokens have which roles (default: root and this host's user only)");
  CLI::Option* tls =
      app.add_option("--listen-tls", flags.listen_tls, "A second address, for other machines: IP:PORT, TLS 1.3 with client certificates");
  std::vector<CLI::Option*> files = {
      app.add_option("--tls-cert", flags.tls_certificate, "The host's certificate and those above it (PEM); may be replaced at any time"),
      app.add_option("--tls-key", flags.tls_key, "Its private key (PEM)"),
      app.add_option("--tls-client-ca", flags.tls_client_ca, "The authorities whose clients are let in (PEM)")};
  for (CLI::Option* file : files) {
    file->needs(tls);
    tls->needs(file);
  }
  app.add_option("--log-file", flags.log_file, "The aggregated log, JSON Lines (default: puma.log in the state directory)");
  app.add_flag("--insecure-loopback", flags.insecure, "Allow plain TCP on the loopback device: every local user is then an administrator");
  app.add_flag("--serve", flags.serve, "Used by the shim")->group("");
  app.set_version_flag("--version", std::string("puma-host ") + PUMA_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  FillDefaults(flags);
  return flags.serve ? Serve(flags) : BecomeShim(flags);
}

}  // namespace
}  // namespace puma::server

int main(int argc, char** argv) { return puma::server::Main(argc, argv); }
