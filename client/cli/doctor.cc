#include <sys/stat.h>
#include <sys/statvfs.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/diagnosis.h"
#include "client/cli/json_document.h"
#include "client/cli/names.h"
#include "client/cli/rows.h"
#include "client/cli/text.h"

namespace puma::client {
namespace {

using Verdict = Finding::Verdict;

const char* NameOf(Verdict verdict) { return verdict == Verdict::kGood ? "good" : verdict == Verdict::kBetter ? "better" : "wrong"; }

int64_t FreeBytes(const std::string& directory) {
  struct statvfs disk {};
  if (statvfs(directory.c_str(), &disk) != 0) return -1;
  return static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
}

// What says who we are must not be for others.
void JudgeSecret(const std::string& subject, const std::string& file, std::vector<Finding>& findings) {
  struct stat info {};
  if (file.empty()) return;
  if (stat(file.c_str(), &info) != 0) {
    findings.push_back({Verdict::kWrong, subject, absl::StrCat(file, " can't be read"), "name the right file, or leave it out"});
  } else {
    const bool open = (info.st_mode & 077) != 0;
    findings.push_back({open ? Verdict::kBetter : Verdict::kGood, subject, file, open ? "others may read it: chmod 600" : ""});
  }
}

void JudgeTasks(Client& host, std::vector<Finding>& findings) {
  const auto failed = AllTasks(host, "", "state=failed");
  if (!failed.ok()) return;
  for (const v1::Task& task : failed->tasks())
    findings.push_back({Verdict::kBetter, absl::StrCat("task ", ShortName(task.name())),
                        absl::StrCat("FAILED: ", task.status().last_exit().summary()),
                        absl::StrCat("puma-ctl describe task ", ShortName(task.name()))});
  if (failed->tasks().empty()) findings.push_back({Verdict::kGood, "tasks", "none has failed", ""});
}

}  // namespace

ExitCode Doctor(Session& session) {
  const Output& output = session.output;
  std::vector<Finding> findings;
  const bool here = absl::StartsWith(session.target, "unix:") || absl::StartsWith(session.target, "/");
  if (here) findings = JudgeMachine(ReadMachine(""));
  if (session.options.tls) JudgeSecret("key", session.options.tls->key, findings);
  JudgeSecret("token", session.options.token_file, findings);

  const auto host = session.Host();
  absl::StatusOr<v1::GetHostResponse> answer = host.ok() ? (*host)->GetHost() : host.status();
  if (answer.ok()) {
    findings.push_back({Verdict::kGood, "host", session.target, ""});
    const int64_t disk = here ? FreeBytes(answer->host().state_directory()) : -1;
    for (Finding& finding : JudgeHost(answer->host(), PUMA_VERSION, disk)) findings.push_back(std::move(finding));
    JudgeTasks(**host, findings);
  } else {
    findings.push_back({Verdict::kWrong, "host", session.target, std::string(answer.status().message())});
  }

  bool wrong = false;
  Json list = Json::array();
  Table table({"", "WHAT", "FOUND", "DO"});
  for (const Finding& finding : findings) {
    wrong |= finding.verdict == Verdict::kWrong;
    list.push_back(
        {{"verdict", NameOf(finding.verdict)}, {"subject", finding.subject}, {"found", finding.found}, {"advice", finding.advice}});
    const auto colour = finding.verdict == Verdict::kGood     ? Table::Colour::kGreen
                        : finding.verdict == Verdict::kBetter ? Table::Colour::kYellow
                                                              : Table::Colour::kRed;
    table.Add({{NameOf(finding.verdict), colour}, finding.subject, finding.found, finding.advice});
  }
  if (output.json()) {
    PrintJson(output, {{"findings", std::move(list)}});
  } else {
    output.Data(table.Print(output.colours()));
  }
  return wrong ? kFailed : kDone;
}

}  // namespace puma::client
