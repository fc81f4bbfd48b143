#include "solver/ops/file_mode.hpp"

#include "base/text.hpp"

namespace lade {
namespace {

constexpr uint32_t kSetUser = 04000;
constexpr uint32_t kSetGroup = 02000;
constexpr uint32_t kSticky = 01000;

/// rwx bits of all three classes.
constexpr uint32_t everywhere(uint32_t bits) {
  return bits << 6 | bits << 3 | bits;
}

constexpr uint32_t kSetIds = kSetUser | kSetGroup;

bool is_operator(char c) {
  return c == '+' || c == '-' || c == '=';
}

/// One clause of a symbolic mode, such as "go=u-w". Oddities are those of BSD's setmode(3), which
/// BuildKit uses: copying a class ("u=g") leaves the set-id bits alone, and once there is a "t" a
/// clause without classes is about the sticky bit only.
class Clause {
 public:
  Clause(uint32_t mode, bool executable) : mode_(mode), executable_(executable) {}

  uint32_t apply(std::string_view text) {
    size_t at = 0;
    for (; at < text.size() && !is_operator(text[at]); ++at) add_class(text[at]);
    while (at < text.size()) {
      start(text[at++]);
      for (; at < text.size() && !is_operator(text[at]); ++at) add_permission(text[at]);
      finish();
    }
    return mode_;
  }

 private:
  void add_class(char c) {
    if (c == 'u' || c == 'a') who_ |= kSetUser | 0700;
    if (c == 'g' || c == 'a') who_ |= kSetGroup | 0070;
    if (c == 'o' || c == 'a') who_ |= 0007;
  }

  void start(char operation) {
    operation_ = operation;
    who_ &= ~kSticky;
    bits_ = 0;
    searchable_ = copied_ = false;
  }

  void add_permission(char c) {
    const bool beyond_others = who_ == 0 || (who_ & ~0007u) != 0;
    if (c == 'r') bits_ |= everywhere(4);
    if (c == 'w') bits_ |= everywhere(2);
    // "-X" takes every x away.
    if (c == 'x' || (c == 'X' && operation_ == '-')) bits_ |= everywhere(1);
    if (c == 'X' && operation_ != '-') searchable_ = true;
    if (c == 's' && beyond_others) bits_ |= kSetIds;
    if (c == 't' && beyond_others) {
      who_ |= kSticky;
      bits_ |= kSticky;
    }
    if (c == 'u') copy(6);
    if (c == 'g') copy(3);
    if (c == 'o') copy(0);
  }

  void finish() {
    if (bits_ != 0 || (operation_ == '=' && !copied_)) change(bits_);
    if (searchable_ && executable_) mode_ |= of_classes(everywhere(1));
  }

  uint32_t of_classes(uint32_t bits) const { return who_ == 0 ? bits : bits & who_; }

  void change(uint32_t bits) {
    if (operation_ == '=') mode_ &= ~(who_ == 0 ? kSetIds | 0777 : who_);
    if (operation_ == '-') {
      mode_ &= ~of_classes(bits);
    } else {
      mode_ |= of_classes(bits);
    }
  }

  /// Copies the class whose bits begin at `shift`. What came before it in the clause is done first.
  void copy(int shift) {
    if (bits_ != 0) change(bits_);
    if (searchable_ && executable_) mode_ |= of_classes(everywhere(1));
    bits_ = 0;
    searchable_ = false;
    copied_ = true;
    const uint32_t permissions = mode_ >> shift & 7;
    const uint32_t targets = of_classes(0777);
    const uint32_t bits = everywhere(permissions) & targets;
    if (operation_ == '=') mode_ &= ~targets;
    if (operation_ == '-') {
      mode_ &= ~bits;
    } else {
      mode_ |= bits;
    }
  }

  uint32_t mode_;
  bool executable_;   // what X asks: a directory, or any x of the mode before all clauses
  uint32_t who_ = 0;  // which bits may change; 0: no class was named
  char operation_ = '+';
  uint32_t bits_ = 0;
  bool searchable_ = false;  // there was an X
  bool copied_ = false;
};

}  // namespace

std::optional<uint32_t> octal_mode(std::string_view text) {
  if (text.empty() || text.find_first_not_of("01234567") != std::string_view::npos) {
    return std::nullopt;
  }
  uint32_t mode = 0;
  for (const char c : text) mode = (mode << 3 | static_cast<uint32_t>(c - '0')) & 07777;
  return mode;
}

uint32_t apply_mode(std::string_view text, uint32_t mode, bool directory) {
  if (const auto octal = octal_mode(text)) return *octal;
  const bool executable = directory || (mode & everywhere(1)) != 0;
  for (const auto& clause : split(text, ',')) {
    mode = Clause(mode, executable).apply(clause);
  }
  return mode;
}

}  // namespace lade
