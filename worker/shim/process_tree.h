#ifndef PUMA_WORKER_SHIM_PROCESS_TREE_H_
#define PUMA_WORKER_SHIM_PROCESS_TREE_H_
// Looking at processes and ending them, with all that they have started. Signals go through pidfds only.
#include <string>
#include <string_view>
#include <vector>

namespace puma::shim {

// The children of a process, dead ones that nobody has reaped included; of all of its threads.
std::vector<int> ChildrenOf(int pid);

// The value of a variable in the environment that a process was started with, or "".
std::string EnvironmentOf(int pid, std::string_view name);

// Stops the tree below `pid`, the root included, until nobody is left who could fork, then kills it. Does not wait.
void EndTree(int pid);

// Ends all processes of this user whose environment has `name` = `value`, and waits for their end; this process and its ancestors are
// spared. False: some were still there after `seconds`; `left` names them.
bool EndLeftovers(std::string_view name, std::string_view value, int seconds, std::string& left);

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_PROCESS_TREE_H_
