#ifndef PUMA_WORKER_RUNNABLE_RUNNABLE_CORE_H_
#define PUMA_WORKER_RUNNABLE_RUNNABLE_CORE_H_
// A runnable object and all that runs it: what it has declared, its ports, its loop, its end. Its own thread constructs, starts, executes
// and destroys it; other threads may stop it, attach lanes and end publishers meanwhile.
#include <puma/module.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/task_page.h"
#include "worker/platform/mutex.h"
#include "worker/runnable/input.h"
#include "worker/runnable/input_port.h"
#include "worker/runnable/output_core.h"
#include "worker/runnable/remote_objects.h"
#include "worker/runnable/run_context.h"
#include "worker/runnable/ticker.h"

namespace puma::internal {

struct ParamDeclaration {
  std::string name, type, help;
  bool required = false;
  std::string default_json;
};

struct CoreOptions {
  std::string name;
  Scope scope = Scope::kChild;
  std::map<std::string, std::string> params;                           // name to JSON text
  std::vector<std::string> inputs, outputs;                            // names of the ports that will be connected
  std::vector<std::string> passed;                                     // buffers that go on to runners of its own
  std::vector<std::string> facades;                                    // that are given
  std::function<std::unique_ptr<Input>(InputDeclaration)> make_input;  // null: an InputPort
  bool logs_its_error = true;                                          // else who runs it hands it out at once
  bool completes_with_error = false;   // an error of the run goes on through its outputs; else whoever runs the task decides when
  const Word32* log_level = nullptr;   // null: the process's
  absl::Duration spin = Spin::kUsual;  // how long it looks for input before it sleeps, as long as that pays
  uint32_t slot = 0;                   // names the thread's task in logs and crashes
};

// What callers of references send instead of a command's name: {object, method, arguments...}, and {objects...}.
inline constexpr std::string_view kCallObject = "@call";
inline constexpr std::string_view kReleaseObjects = "@release";

// How a run ended.
struct Outcome {
  enum class Kind { kCompleted, kStopped, kFailed };
  Kind kind = Kind::kCompleted;
  absl::Status error;
};

class RunnableCore {
 public:
  // Constructs the object. INVALID_ARGUMENT lists all that is wrong with parameters and ports at once; else what the constructor threw.
  static absl::StatusOr<std::unique_ptr<RunnableCore>> Construct(Module::Factory factory, CoreOptions options);
  // The same, for who has more mistakes to tell: see mistakes().
  static absl::StatusOr<std::unique_ptr<RunnableCore>> ConstructAnyway(Module::Factory factory, CoreOptions options);
  const std::vector<std::string>& mistakes() const { return mistakes_; }
  ~RunnableCore();

  const std::vector<ParamDeclaration>& params() const { return params_; }
  const std::vector<std::unique_ptr<Input>>& inputs() const { return inputs_; }
  const std::vector<std::shared_ptr<OutputCore>>& outputs() const { return outputs_; }
  const std::vector<CommandDeclaration>& commands() const { return commands_; }
  const std::vector<std::shared_ptr<PassedBuffer>>& passed() const { return passed_; }
  const std::vector<std::shared_ptr<FacadeSlot>>& facades() const { return facades_; }
  const CommandDeclaration* FindCommand(std::string_view name) const;
  // The first command that was declared with this method (two that a linker folded into one do the same); null: none.
  const CommandDeclaration* FindMethod(std::string_view key) const;
  // All declarations in one text: the same for both halves of a runnable, or something is wrong.
  std::string Declarations() const;
  InputPort* FindInput(std::string_view name);  // whose lanes the host attaches
  OutputCore* FindOutput(std::string_view name);
  RunContext& context() { return context_; }
  const CoreOptions& options() const { return options_; }

  // Wiring, before Start.
  void UsePage(TaskPage* page) { page_ = page; }
  void SleepOn(PageHeader* header) { sleep_header_ = header; }  // instead of the page's
  void UseCommands(CommandSource* source) { context_.commands.store(source, std::memory_order_release); }

  // OnStart. Then Execute and the end: subscribers completed, hook, subscriptions left, outputs completed or left.
  absl::Status Start();
  Outcome Run();

  // From any thread, at any time.
  void Stop() { context_.RequestStop(); }
  void EndService();
  void Attach(LaneAttachment lane) PUMA_EXCLUDES(mail_mutex_);
  void EndPublisher(std::string port, uint64_t publisher, absl::Status error) PUMA_EXCLUDES(mail_mutex_);
  void LeaveLane(std::string port, uint64_t lane) PUMA_EXCLUDES(mail_mutex_);

  // What the declarations of a constructor and the methods of Runnable come to.
  void Declare(InputDeclaration declaration);
  std::shared_ptr<OutputCore> Declare(std::string_view name, TypeInfo type, OutputOptions options);
  void Declare(CommandDeclaration declaration);
  std::shared_ptr<PassedBuffer> DeclarePassed(std::string_view name, TypeInfo type);
  std::shared_ptr<FacadeSlot> DeclareFacade(std::string_view name, std::string type);
  void SendStatus(std::string type, Value status);
  void Declare(AttributeBase& attribute);

  // How the attributes of two halves meet. In the parent's half, within Start: what the child's half is given.
  absl::StatusOr<std::vector<std::string>> SaveAttributes(bool processes) const;
  // In the child's, before OnStart. `parent`: the other half, if it is in this process.
  absl::Status LoadAttributes(const std::vector<std::string>& saved, const RunnableCore* parent);
  size_t CellCount() const;
  void BindCells(std::span<Word64> cells, bool keep);  // words that both see; keep: what stands in them counts
  absl::StatusOr<Value> DeclareParam(std::string_view name, std::string type, const Value* default_value, std::string_view help);
  void ParamFailed(std::string_view name, const absl::Status& status);
  absl::StatusOr<Value> ExecuteCommand(const CommandDeclaration& command, std::span<const Value> arguments);     // own thread
  absl::StatusOr<Value> CallObject(uint64_t object, std::string_view method, std::span<const Value> arguments);  // own thread
  void ReleaseObject(uint64_t object);                                                                           // own thread
  absl::Status Service();
  bool PollCommands();
  void LetOthers();  // run inline, a loop of its own ends its turn here
  bool WaitForCommands(absl::Duration at_most);
  Ticker& ticker() { return ticker_; }
  Runnable* self() const { return self_; }
  const Logger& logger() const { return logger_; }
  void Adopt(Runnable* self) { self_ = self; }
  const OutputOptions& output_options(size_t i) const { return output_options_[i]; }

 private:
  // Inputs that complete together.
  struct Subscriber {
    const void* key = nullptr;
    std::vector<Input*> inputs;
    OnCompleted on_complete;
    bool completed = false, failed = false;
  };
  struct PublisherEnd {
    std::string port;
    uint64_t publisher;
    absl::Status error;
  };

  struct LaneLeft {
    std::string port;
    uint64_t lane;
  };
  using Letter = std::variant<LaneAttachment, PublisherEnd, LaneLeft>;

  explicit RunnableCore(CoreOptions options);
  void Mistake(std::string text);
  absl::Status OfAttribute(const AttributeBase& attribute, const absl::Status& status) const;
  void CheckPorts();
  absl::Status Mistakes() const;

  // The loop.
  void Post(Letter letter) PUMA_EXCLUDES(mail_mutex_);
  void TakeMail() PUMA_EXCLUDES(mail_mutex_);
  void TakeLane(LaneAttachment& lane);
  void ReportBadLanes();
  absl::Status TickIfDue();
  absl::Status ServeInput(Input& input, bool& more);
  absl::Status Handle(Input& input, const Received& received);
  absl::Status CompleteSubscribers(bool& all);
  void Sleep(uint32_t seen_kick, absl::Duration at_most);
  void SleepInline(uint32_t seen_kick, absl::Duration at_most);
  absl::StatusOr<Value> ServeCommand(const CommandCall& call);
  absl::StatusOr<Value> ServeReference(const CommandCall& call);
  template <class F>
  absl::StatusOr<Value> Execute(F&& call);
  bool stopping() const { return stop_served_ || context_.StopAsked(); }

  // The end.
  Outcome End(absl::Status status, bool stopped);
  bool CompleteAtEnd(absl::Status& error);
  bool CallOnEnd(absl::Status& error);
  void Leave(const absl::Status& error, bool stopped);
  void LogFurther(const absl::Status& first, const absl::Status& further);

  CoreOptions options_;
  const std::string* log_name_;
  Logger logger_;
  RunContext context_;
  Runnable* self_ = nullptr;
  std::unique_ptr<Runnable> object_;
  bool constructing_ = true, executing_ = false, polling_ = false, polled_ = false, serving_ = false, stop_served_ = false,
       inputs_completed_ = false;  // or the service was ended: it is done, not stopped
  std::atomic<bool> end_service_{false};

  std::vector<ParamDeclaration> params_;
  std::vector<std::unique_ptr<Input>> inputs_;
  std::vector<InputPort*> lane_inputs_;  // those of them whose lanes the host attaches
  std::vector<std::shared_ptr<OutputCore>> outputs_;
  std::vector<OutputOptions> output_options_;
  std::vector<CommandDeclaration> commands_;
  std::vector<std::shared_ptr<PassedBuffer>> passed_;
  std::vector<AttributeBase*> attributes_;
  std::vector<std::shared_ptr<FacadeSlot>> facades_;
  ObjectTable objects_;  // results that callers refer to
  std::vector<Subscriber> subscribers_;
  std::vector<std::string> mistakes_;

  Ticker ticker_;
  TaskPage* page_ = nullptr;
  PageHeader* sleep_header_ = nullptr;
  absl::Status command_error_;  // of a command that nobody waits for
  PageHeader own_header_{};     // to sleep with where there is no page
  Spin spin_{options_.spin};
  std::vector<LaneReader*> readers_;
  Mutex mail_mutex_;
  std::vector<Letter> mail_ PUMA_GUARDED_BY(mail_mutex_);
  std::atomic<bool> has_mail_{false};
};

// Of `names` the one that `wrong` was probably meant to be; "" if none is near.
std::string DidYouMean(std::string_view wrong, const std::vector<std::string>& names);
// "unknown KIND "x"; did you mean "y"? There are: a, b"
std::string UnknownName(std::string_view kind, std::string_view wrong, const std::vector<std::string>& names);

// The core of the runnable that this thread executes; null: none.
RunnableCore* CurrentCore();
class ExecutingScope {
 public:
  explicit ExecutingScope(RunnableCore* core);
  ~ExecutingScope();
  ExecutingScope(const ExecutingScope&) = delete;
  ExecutingScope& operator=(const ExecutingScope&) = delete;

 private:
  RunnableCore* const outer_;
};

// All types of a module as JSON: {"module","types":[{"name","parameters","inputs","outputs","commands"}]}. INVALID_ARGUMENT: a type can't
// be constructed; the message says which and why.
absl::StatusOr<std::string> DescribeModule(const Module& module, std::string_view module_name);

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_RUNNABLE_CORE_H_
