#include "server/supervisor/model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace puma::server {
namespace {
template <class Map, class Key>
auto* Find(const Map& map, const Key& key) {
  auto it = map.find(key);
  return it == map.end() ? nullptr : it->second.get();
}
}  // namespace

TaskRec* Model::task(uint64_t uid) const { return Find(tasks, uid); }
WorkerRec* Model::worker(uint64_t key) const { return Find(workers, key); }
PipelineRec* Model::pipeline(const std::string& name) const { return Find(pipelines, name); }

TaskRec* Model::FindTask(const std::string& full_name) const {
  const std::vector<std::string> parts = absl::StrSplit(full_name, '/');
  if (parts.size() != 4 || parts[0] != "pipelines" || parts[2] != "tasks") return nullptr;
  const PipelineRec* owner = pipeline(parts[1]);
  if (owner == nullptr) return nullptr;
  auto it = owner->tasks.find(parts[3]);
  return it == owner->tasks.end() ? nullptr : task(it->second);
}

bool Model::IsOver(const PipelineRec& pipeline) const {
  return pipeline.row.deleting && pipeline.tasks.empty() &&
         std::none_of(workers.begin(), workers.end(), [&](const auto& worker) { return worker.second->pipeline == pipeline.row.name; });
}

std::string EtagOf(const PipelineRow& row) { return absl::StrCat(row.uid, "-", row.generation); }
std::string PipelineName(const std::string& pipeline) { return absl::StrCat("pipelines/", pipeline); }
std::string TaskName(const std::string& pipeline, const std::string& task) { return absl::StrCat("pipelines/", pipeline, "/tasks/", task); }
std::string BufferName(const std::string& pipeline, const std::string& buffer) {
  return absl::StrCat("pipelines/", pipeline, "/buffers/", buffer);
}

}  // namespace puma::server
