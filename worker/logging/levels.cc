#include "worker/logging/levels.h"

#include <puma/logging.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "worker/platform/mutex.h"

namespace puma {
namespace logging {
namespace {

constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "off"};

struct State {
  LevelTable table;
  LevelTable first;
  Level capture_floor = Level::kOff;
  Level parents_floor = Level::kOff;
  bool off = false;

  Level Floor() const { return std::min(capture_floor, parents_floor); }
  uint32_t WordOf(std::string_view name) const { return static_cast<uint32_t>(off ? Level::kOff : std::min(table.Of(name), Floor())); }
};

// Never destroyed: loggers may be used to the very end.
struct Registry {
  Mutex mutex;
  State state PUMA_GUARDED_BY(mutex);
  std::map<std::string, std::atomic<uint32_t>, std::less<>> words PUMA_GUARDED_BY(mutex);  // nodes never move

  Mutex listeners_mutex;  // before `mutex`
  std::vector<const std::function<void(const std::string&)>*> listeners PUMA_GUARDED_BY(listeners_mutex);
  std::string told PUMA_GUARDED_BY(listeners_mutex);  // what they have heard last

  std::pair<const std::string, std::atomic<uint32_t>>& Node(std::string_view name) PUMA_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    auto at = words.find(name);
    if (at == words.end()) at = words.emplace(name, state.WordOf(name)).first;
    return *at;
  }
};

Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

std::atomic<uint32_t> the_floor{static_cast<uint32_t>(Level::kOff)};

// All changes go through here: the words are made anew, then the children are told. One change at a time, so that they hear the latest
// last.
template <class Change>
void Update(Change change) {
  Registry& registry = TheRegistry();
  MutexLock order(registry.listeners_mutex);
  {
    MutexLock lock(registry.mutex);
    change(registry.state);
    for (auto& [name, word] : registry.words) word.store(registry.state.WordOf(name), std::memory_order_relaxed);
    the_floor.store(static_cast<uint32_t>(registry.state.Floor()), std::memory_order_relaxed);
  }
  if (registry.listeners.empty()) return;
  const std::string text = LevelsForChildren();
  if (std::exchange(registry.told, text) == text) return;
  for (const auto* listener : registry.listeners) (*listener)(text);
}

bool IsLevel(char c, Level& level) {
  if (c < '0' || c > '5') return false;
  level = static_cast<Level>(c - '0');
  return true;
}

}  // namespace

Level LevelTable::Of(std::string_view logger) const {
  for (std::string_view section = logger; !section.empty();) {
    if (const auto at = sections.find(section); at != sections.end()) return at->second;
    const size_t dot = section.rfind('.');
    section = dot == std::string_view::npos ? std::string_view() : section.substr(0, dot);
  }
  return root;
}

const std::atomic<uint32_t>* LevelWord(std::string_view name) { return &TheRegistry().Node(name).second; }
const std::string* InternName(std::string_view name) { return &TheRegistry().Node(name).first; }

const std::atomic<uint32_t>& ProcessLevel() {
  static const std::atomic<uint32_t>& word = *LevelWord("");
  return word;
}

LevelTable CurrentLevels() {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  return registry.state.table;
}

LevelTable FirstLevels() {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  return registry.state.first;
}

void ReplaceLevels(LevelTable table) {
  Update([&](State& state) { state.table = std::move(table); });
}

void ChangeLevels(const std::function<void(LevelTable&)>& change) {
  Update([&](State& state) { change(state.table); });
}

void TurnOff(bool off) {
  Update([&](State& state) { state.off = off; });
}

void SetCaptureFloor(Level floor) {
  Update([&](State& state) { state.capture_floor = floor; });
}

bool OnlyForCaptures(std::string_view logger, Level level) {
  if (static_cast<uint32_t>(level) < the_floor.load(std::memory_order_relaxed)) return false;  // no captures, or not for them
  return level < LevelOf(logger);
}

// One line for the floor and the root, "35", then one for each section: its level and its name.
std::string LevelsForChildren() {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  const auto digit = [](Level level) { return static_cast<char>('0' + static_cast<uint32_t>(level)); };
  if (registry.state.off) return "55\n";
  std::string text{digit(registry.state.Floor()), digit(registry.state.table.root), '\n'};
  for (const auto& [section, level] : registry.state.table.sections) {
    if (section.find('\n') != std::string::npos) continue;  // no logger of a file can be meant
    (text += digit(level)) += section + '\n';
  }
  return text;
}

absl::Status ApplyLevels(std::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError("not a text of LevelsForChildren");
  LevelTable table;
  Level floor;
  if (text.size() < 3 || text[2] != '\n' || !IsLevel(text[0], floor) || !IsLevel(text[1], table.root)) return wrong;
  for (text.remove_prefix(3); !text.empty();) {
    const size_t end = text.find('\n');
    Level level;
    if (end == std::string_view::npos || end < 2 || !IsLevel(text[0], level)) return wrong;
    table.sections[std::string(text.substr(1, end - 1))] = level;
    text.remove_prefix(end + 1);
  }
  Update([&](State& state) {
    state.parents_floor = floor;
    state.first = table;
    state.table = std::move(table);
  });
  return absl::OkStatus();
}

LevelListener::LevelListener(std::function<void(const std::string&)> changed) : changed_(std::move(changed)) {
  Registry& registry = TheRegistry();
  MutexLock order(registry.listeners_mutex);
  registry.told = LevelsForChildren();
  registry.listeners.push_back(&changed_);
}

LevelListener::~LevelListener() {
  Registry& registry = TheRegistry();
  MutexLock order(registry.listeners_mutex);
  std::erase(registry.listeners, &changed_);
}

}  // namespace logging

void SetLevel(std::string_view section, Level level) {
  logging::ChangeLevels([&](logging::LevelTable& table) {
    if (section.empty()) {
      table.root = level;
    } else {
      table.sections.insert_or_assign(std::string(section), level);
    }
  });
}

void OverrideLevels(Level level) { logging::ReplaceLevels({level, {}}); }

Level LevelOf(std::string_view logger) { return logging::CurrentLevels().Of(logger); }

std::optional<Level> ParseLevel(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "warning") return Level::kWarn;
  const auto* at = std::find(std::begin(logging::kNames), std::end(logging::kNames), lower);
  if (at == std::end(logging::kNames)) return std::nullopt;
  return static_cast<Level>(at - std::begin(logging::kNames));
}

std::string_view LevelName(Level level) { return logging::kNames[std::min(static_cast<size_t>(level), size_t{5})]; }

}  // namespace puma
