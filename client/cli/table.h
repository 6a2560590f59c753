#ifndef PUMA_CLIENT_CLI_TABLE_H_
#define PUMA_CLIENT_CLI_TABLE_H_
#include <string>
#include <vector>

namespace puma::client {

// Columns of text, as wide as they need to be. Thread-compatible.
class Table {
 public:
  enum class Colour { kNone, kGreen, kYellow, kRed, kDim };
  struct Cell {
    Cell(std::string text, Colour colour = Colour::kNone) : text(std::move(text)), colour(colour) {}  // NOLINT: cells are written as text
    Cell(const char* text) : text(text) {}                                                            // NOLINT
    std::string text;
    Colour colour = Colour::kNone;
  };
  // A title that begins with '>' is a column of numbers, set to the right.
  explicit Table(std::vector<std::string> titles);
  void Add(std::vector<Cell> row);
  // With a line of titles; each line ends with '\n', without blanks at its end. Cells are escaped.
  std::string Print(bool colours) const;
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<Cell>> rows_;
};

std::string Coloured(const std::string& text, Table::Colour colour);

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLI_TABLE_H_
