#include "worker/control/start_spec.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "worker/platform/system.h"

namespace puma::control {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxSpecBytes = 16 << 20;
constexpr unsigned kSpecSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// Each struct is listed once, by a function that both directions share: `io("name", field)`.
template <class Io>
void Fields(Io& io, KnownLane& v) {
  io("lane", v.lane), io("publisher", v.publisher), io("epoch", v.epoch), io("page_slot", v.page_slot), io("next", v.next);
  io("deliveries", v.deliveries), io("handed", v.handed), io("backlog", v.backlog), io("redelivered", v.redelivered);
  io("missed", v.missed);
}
template <class Io>
void Fields(Io& io, InputSpec& v) {
  io("port", v.port), io("buffer", v.buffer), io("lossy", v.lossy), io("latest", v.latest), io("publishers", v.publishers);
  io("lanes_each", v.lanes_each);
  io("lanes", v.lanes);
}
template <class Io>
void Fields(Io& io, LaneSpec& v) {
  io("lane", v.lane), io("replica", v.replica), io("subscriptions", v.subscriptions), io("spares", v.spares);
}
template <class Io>
void Fields(Io& io, OutputSpec& v) {
  io("port", v.port), io("buffer", v.buffer), io("epoch", v.epoch), io("capacity", v.capacity), io("payload_bytes", v.payload_bytes);
  io("max_bytes", v.max_bytes), io("stream", v.stream), io("on_full", v.on_full), io("lanes", v.lanes);
  io("huge_pages", v.huge_pages), io("prefault", v.prefault);
}
template <class Io>
void Fields(Io& io, StartSpec& v) {
  io("pipeline", v.pipeline), io("name", v.name), io("task", v.task), io("run", v.run), io("ticket", v.ticket), io("slot", v.slot);
  io("module", v.module), io("module_name", v.module_name), io("type", v.type), io("params", v.params), io("log_level", v.log_level);
  io("page", v.page), io("spin_ns", v.spin_ns), io("alone", v.alone), io("inputs", v.inputs), io("outputs", v.outputs);
}

class Writer {
 public:
  template <class T>
  void operator()(const char* name, T& field) {
    json_[name] = ToJsonValue(field);
  }
  template <class T>
  static Json ToJsonValue(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string> || std::is_same_v<T, std::map<std::string, std::string>>) {
      return Json(value);
    } else {
      Writer writer;
      Fields(writer, value);
      return std::move(writer.json_);
    }
  }
  template <class T>
  static Json ToJsonValue(std::vector<T>& values) {
    Json json = Json::array();
    for (T& value : values) json.push_back(ToJsonValue(value));
    return json;
  }

 private:
  Json json_ = Json::object();
};

// Reads without exceptions; the first thing that is wrong stays in `error`, with its path.
class Reader {
 public:
  Reader(const Json& json, std::string path, std::string& error) : json_(json), path_(std::move(path)), error_(error) {}

  template <class T>
  void operator()(const char* name, T& field) {
    const auto found = json_.find(name);
    const std::string path = path_.empty() ? name : absl::StrCat(path_, ".", name);
    if (found == json_.end()) return Fail(path, "is missing");
    Read(*found, path, field);
  }

 private:
  void Fail(const std::string& path, const char* what) {
    if (error_.empty()) error_ = absl::StrCat(path, " ", what);
  }
  void Read(const Json& json, const std::string& path, bool& out) {
    if (!json.is_boolean()) return Fail(path, "is not a boolean");
    out = json.get<bool>();
  }
  void Read(const Json& json, const std::string& path, std::string& out) {
    if (!json.is_string()) return Fail(path, "is not a string");
    out = json.get<std::string>();
  }
  template <class T>
  std::enable_if_t<std::is_integral_v<T>> Read(const Json& json, const std::string& path, T& out) {
    if (json.is_number_unsigned()) {
      const uint64_t value = json.get<uint64_t>();
      if (value > static_cast<uint64_t>(std::numeric_limits<T>::max())) return Fail(path, "is too large");
      out = static_cast<T>(value);
    } else if (json.is_number_integer() && std::is_signed_v<T>) {
      const int64_t value = json.get<int64_t>();
      if (value < static_cast<int64_t>(std::numeric_limits<T>::min())) return Fail(path, "is too small");
      out = static_cast<T>(value);
    } else {
      Fail(path, "is not a number of its kind");
    }
  }
  void Read(const Json& json, const std::string& path, std::map<std::string, std::string>& out) {
    if (!json.is_object()) return Fail(path, "is not an object");
    out.clear();
    for (const auto& [key, value] : json.items()) Read(value, absl::StrCat(path, ".", key), out[key]);
  }
  template <class T>
  void Read(const Json& json, const std::string& path, std::vector<T>& out) {
    if (!json.is_array()) return Fail(path, "is not a list");
    out.assign(json.size(), T());
    for (size_t i = 0; i < json.size(); ++i) Read(json[i], absl::StrCat(path, "[", i, "]"), out[i]);
  }
  template <class T>
  std::enable_if_t<std::is_class_v<T>> Read(const Json& json, const std::string& path, T& out) {
    if (!json.is_object()) return Fail(path, "is not an object");
    Reader reader(json, path, error_);
    Fields(reader, out);
  }

  const Json& json_;
  std::string path_;
  std::string& error_;
};

}  // namespace

std::string ToJson(const StartSpec& spec) {
  StartSpec copy = spec;
  return Writer::ToJsonValue(copy).dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<StartSpec> StartSpecFromJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("start spec: not a JSON object");
  StartSpec spec;
  std::string error;
  Reader reader(json, "", error);
  Fields(reader, spec);
  if (!error.empty()) return absl::InvalidArgumentError(absl::StrCat("start spec: ", error));
  return spec;
}

absl::StatusOr<UniqueFd> ToMemfd(const StartSpec& spec) {
  const std::string json = ToJson(spec);
  UniqueFd fd(::memfd_create("puma-start-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoStatus(errno, "start spec: memfd_create");
  for (size_t done = 0; done < json.size();) {
    const ssize_t n = ::pwrite(fd.get(), json.data() + done, json.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus(errno, "start spec: write");
    done += static_cast<size_t>(n);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSpecSeals) != 0) return ErrnoStatus(errno, "start spec: seal");
  return fd;
}

absl::StatusOr<StartSpec> FromMemfd(const UniqueFd& fd) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (static_cast<unsigned>(seals) & kSpecSeals) != kSpecSeals) return absl::DataLossError("start spec: not a sealed memfd");
  struct stat stat {};
  if (::fstat(fd.get(), &stat) != 0) return ErrnoStatus(errno, "start spec: fstat");
  if (stat.st_size < 0 || static_cast<size_t>(stat.st_size) > kMaxSpecBytes) return absl::DataLossError("start spec: too large");
  std::string json(static_cast<size_t>(stat.st_size), '\0');
  for (size_t done = 0; done < json.size();) {
    const ssize_t n = ::pread(fd.get(), json.data() + done, json.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "start spec: read");
    if (n == 0) return absl::DataLossError("start spec: shorter than its size");
    done += static_cast<size_t>(n);
  }
  return StartSpecFromJson(json);
}

}  // namespace puma::control
