#include "client/cli/reference.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace puma::client {
namespace {

bool IsHidden(const CLI::App& app) { return app.get_group().empty(); }

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !IsHidden(*command); });
}

std::vector<const CLI::Option*> OptionsOf(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) { return option->get_positional() == positional; });
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// "FORM:{table,wide}" says which words there are.
std::vector<std::string> ChoicesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return absl::StrSplit(type.substr(open + 1, close - open - 1), ',');
}
std::string TypeName(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (!ChoicesOf(option).empty()) type = type.substr(0, type.find_first_of(":{"));
  return type.empty() || type == "TEXT" ? absl::AsciiStrToUpper(option.get_single_name()) : type;
}

// ---- the manual page -----------------------------------------------------------------------------------------------------------------

std::string Roff(const std::string& text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  if (absl::StartsWith(escaped, ".") || absl::StartsWith(escaped, "'")) escaped = "\\&" + escaped;
  return escaped;
}

void AddOption(const CLI::Option& option, std::string& page) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  if (names.empty()) names.push_back(absl::AsciiStrToUpper(option.get_name(true)));
  absl::StrAppend(&page, ".TP\n\\fB", Roff(absl::StrJoin(names, ", ")), "\\fR");
  if (!option.get_positional() && TakesValue(option)) absl::StrAppend(&page, " \\fI", Roff(TypeName(option)), "\\fR");
  absl::StrAppend(&page, "\n", Roff(option.get_description()), "\n");
}

void AddFooter(const CLI::App& app, std::string& page) {
  if (app.get_footer().empty()) return;
  absl::StrAppend(&page, ".PP\n.nf\n");
  for (const auto line : absl::StrSplit(app.get_footer(), '\n')) absl::StrAppend(&page, Roff(std::string(line)), "\n");
  absl::StrAppend(&page, ".fi\n");
}

void AddCommand(const CLI::App& command, const std::string& before, std::string& page) {
  std::string usage = absl::StrCat(before, command.get_name());
  if (const auto deeper = CommandsOf(command); !deeper.empty()) {
    for (const CLI::App* each : deeper) AddCommand(*each, usage + " ", page);
    return;
  }
  for (const CLI::Option* option : OptionsOf(command, true)) {
    std::string word = absl::AsciiStrToUpper(option->get_name(true));
    if (option->get_items_expected_max() > 1) word += " ...";
    absl::StrAppend(&usage, " ", option->get_required() ? word : absl::StrCat("[", word, "]"));
  }
  absl::StrAppend(&page, ".SS ", Roff(usage), "\n", Roff(command.get_description()), "\n");
  for (const CLI::Option* option : OptionsOf(command, true)) AddOption(*option, page);
  for (const CLI::Option* option : OptionsOf(command, false)) {
    if (option != command.get_help_ptr()) AddOption(*option, page);
  }
  AddFooter(command, page);
}

// ---- completion ----------------------------------------------------------------------------------------------------------------------

// How far the words before the one in question lead.
struct Place {
  const CLI::App* command;
  std::vector<std::string> positionals;      // of the command
  const CLI::Option* wants_value = nullptr;  // the last word is its value
};

const CLI::Option* FindOption(const CLI::App& root, const CLI::App& command, const std::string& name) {
  for (const CLI::App* app : {&command, &root}) {
    for (const CLI::Option* option : OptionsOf(*app, false)) {
      if (option->check_name(name)) return option;
    }
  }
  return nullptr;
}

Place Walk(const CLI::App& root, const std::vector<std::string>& words) {
  Place place{&root, {}};
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() > 1 && word[0] == '-') {
      const CLI::Option* option = FindOption(root, *place.command, word);
      if (option == nullptr || !TakesValue(*option) || option->get_items_expected_min() == 0) continue;
      if (i + 2 == words.size()) place.wants_value = option;
      ++i;
      continue;
    }
    const CLI::App* deeper = nullptr;
    for (const CLI::App* command : CommandsOf(*place.command)) deeper = command->get_name() == word ? command : deeper;
    if (deeper != nullptr) {
      place.command = deeper;
    } else {
      place.positionals.push_back(word);
    }
  }
  return place;
}

std::vector<std::string> ValuesOf(const CLI::Option& option, const Place& place, const KnownWords& known) {
  if (auto choices = ChoicesOf(option); !choices.empty()) return choices;
  std::string name = option.get_positional() ? option.get_name(true) : option.get_single_name();
  if (absl::StrContains(TypeName(option), "FILE") || name == "file") return {":file"};
  const std::string command = place.command->get_name();
  const std::string first = place.positionals.empty() ? "" : place.positionals[0];
  if (name == "publisher") name = "task";
  if (name == "name" && (command == "get" || command == "describe")) name = std::string(absl::StripSuffix(first, "s"));
  if (name == "name" && place.command->get_parent()->get_name() == "context") name = "context";
  if (name == "name" && !option.get_positional()) return {};  // a new one
  return known(name, first);
}

void AddOptions(const CLI::App& app, std::vector<std::string>& candidates) {
  for (const CLI::Option* option : OptionsOf(app, false)) {
    for (const std::string& name : option->get_lnames()) candidates.push_back(absl::StrCat("--", name, "\t", option->get_description()));
  }
}

constexpr char kBash[] = R"(# puma-ctl completion for bash: source <(puma-ctl completion bash)
_puma_ctl() {
  local cur words cword
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n =: cur words cword
  else
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
  fi
  local IFS=$'\n' out
  out=$("${words[0]}" __complete -- "${words[@]:1:cword}" 2>/dev/null | cut -f1)
  if [ "$out" = :file ]; then COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return; fi
  COMPREPLY=($(compgen -W "$out" -- "$cur"))
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}
complete -F _puma_ctl puma-ctl
)";
constexpr char kZsh[] = R"(#compdef puma-ctl
# puma-ctl completion for zsh: source <(puma-ctl completion zsh), or this text as _puma-ctl in a directory of $fpath
_puma_ctl() {
  local -a lines offers
  lines=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "${lines[1]}" == ":file" ]]; then _files; return; fi
  local line
  for line in $lines; do
    local name=${line%%$'\t'*} help=${line#*$'\t'}
    if [[ $line == *$'\t'* ]]; then offers+=("${name//:/\\:}:$help"); elif [[ -n $line ]]; then offers+=("${name//:/\\:}"); fi
  done
  _describe puma-ctl offers
}
if [ "$funcstack[1]" = "_puma_ctl" ]; then _puma_ctl; else compdef _puma_ctl puma-ctl; fi
)";
constexpr char kFish[] = R"(# puma-ctl completion for fish: puma-ctl completion fish | source
function __puma_ctl
  set -l words (commandline -opc)
  set -l last (commandline -ct)
  set -l out ($words[1] __complete -- $words[2..-1] "$last" 2>/dev/null)
  if test "$out" = :file
    __fish_complete_path (commandline -ct)
  else
    printf '%s\n' $out
  end
end
complete -c puma-ctl -f -a '(__puma_ctl)'
)";

}  // namespace

std::string ManPage(const CLI::App& app) {
  std::string page = absl::StrCat(".TH PUMA\\-CTL 1 \"\" \"PUMA ", PUMA_VERSION,
                                  "\" \"User Commands\"\n.SH NAME\npuma\\-ctl \\- drives a PUMA host from the command line\n"
                                  ".SH SYNOPSIS\n\\fBpuma\\-ctl\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...\n.SH OPTIONS\n");
  for (const CLI::Option* option : OptionsOf(app, false)) AddOption(*option, page);
  absl::StrAppend(&page, ".SH COMMANDS\n");
  for (const CLI::App* command : CommandsOf(app)) AddCommand(*command, "", page);
  absl::StrAppend(&page, ".SH NOTES\n");
  AddFooter(app, page);
  return page;
}

std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words, const KnownWords& known) {
  if (words.empty()) return {};
  const Place place = Walk(app, words);
  std::vector<std::string> candidates;
  if (place.wants_value != nullptr) {
    candidates = ValuesOf(*place.wants_value, place, known);
  } else if (absl::StartsWith(words.back(), "-")) {
    AddOptions(*place.command, candidates);
    if (place.command != &app) AddOptions(app, candidates);
  } else if (const auto commands = CommandsOf(*place.command); !commands.empty()) {
    for (const CLI::App* command : commands) candidates.push_back(absl::StrCat(command->get_name(), "\t", command->get_description()));
  } else if (const auto positionals = OptionsOf(*place.command, true); !positionals.empty()) {
    const CLI::Option& option = *positionals[std::min(place.positionals.size(), positionals.size() - 1)];
    if (place.positionals.size() < positionals.size() || option.get_items_expected_max() > 1) candidates = ValuesOf(option, place, known);
  }
  if (candidates == std::vector<std::string>{":file"}) return candidates;
  std::erase_if(candidates, [&](const std::string& candidate) { return !absl::StartsWith(candidate, words.back()); });
  return candidates;
}

absl::StatusOr<std::string> CompletionScript(const std::string& shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return absl::InvalidArgumentError(absl::StrCat("no completion for ", shell, "; there is one for bash, zsh and fish"));
}

}  // namespace puma::client
