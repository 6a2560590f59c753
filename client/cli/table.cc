#include "client/cli/table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/text.h"

namespace puma::client {

std::string Coloured(const std::string& text, Table::Colour colour) {
  switch (colour) {
    case Table::Colour::kNone:
      return text;
    case Table::Colour::kGreen:
      return absl::StrCat("\033[32m", text, "\033[0m");
    case Table::Colour::kYellow:
      return absl::StrCat("\033[33m", text, "\033[0m");
    case Table::Colour::kRed:
      return absl::StrCat("\033[31m", text, "\033[0m");
    case Table::Colour::kDim:
      return absl::StrCat("\033[2m", text, "\033[0m");
  }
  return text;
}

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (std::string& title : titles_) {
    right_.push_back(title.front() == '>');
    if (right_.back()) title.erase(0, 1);
  }
}

void Table::Add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = Escape(cell.text);
  rows_.push_back(std::move(row));
}

std::string Table::Print(bool colours) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < titles_.size(); ++i) {
    widths.push_back(Width(titles_[i]));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], Width(row[i].text));
  }
  std::string printed;
  const auto line = [&](const auto& text_of, const auto& colour_of) {
    std::string text;
    for (size_t i = 0; i < titles_.size(); ++i) {
      const std::string blanks(widths[i] - Width(text_of(i)), ' ');
      const std::string cell = colours ? Coloured(text_of(i), colour_of(i)) : text_of(i);
      absl::StrAppend(&text, i ? "  " : "", right_[i] ? blanks + cell : cell + blanks);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    absl::StrAppend(&printed, text, "\n");
  };
  line([&](size_t i) { return titles_[i]; }, [](size_t) { return Colour::kNone; });
  for (const auto& row : rows_) line([&](size_t i) { return row[i].text; }, [&](size_t i) { return row[i].colour; });
  return printed;
}

}  // namespace puma::client
