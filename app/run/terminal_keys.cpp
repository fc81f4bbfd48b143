#include "app/run/terminal_keys.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/usage.hpp"

namespace lade {
namespace {

constexpr char kInterrupt = '\x03';
constexpr int kMostInterrupts = 3;
/// How a terminal shows it (ECHOCTL): nobody's answer.
constexpr std::string_view kEchoed = "^C";

}  // namespace

std::string parse_detach_keys(const std::string& text) {
  std::string out;
  for (const auto& key : split(text, ',')) {
    const std::string name = to_lower(key);
    if (key.size() == 1) {
      out += key;
    } else if (name.size() == 6 && name.starts_with("ctrl-") &&
               std::string_view("abcdefghijklmnopqrstuvwxyz@[\\]^_").find(name[5]) !=
                   std::string_view::npos) {
      out += static_cast<char>(name[5] & 0x1f);
    } else {
      throw_usage("--detach-keys: there is no key " + lade::quoted(key),
                  "keys are single characters and ctrl-a to ctrl-z, ctrl-@, ctrl-[, ctrl-\\, "
                  "ctrl-], ctrl-^, ctrl-_");
    }
  }
  return out;
}

std::string TerminalKeys::take(std::string_view typed) {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const char key : typed) take_key(key, out);
  return out;
}

void TerminalKeys::take_key(char key, std::string& out) {
  interrupts_ = key == kInterrupt ? interrupts_ + 1 : 0;
  if (interrupts_ == kMostInterrupts) ending_ = Ending::interrupted;
  if (matched_ < keys_.size() && key == keys_[matched_]) {
    if (++matched_ == keys_.size()) ending_ = Ending::detached;
    return;
  }
  // They were not meant, but this may be their beginning.
  out += keys_.substr(0, matched_);
  matched_ = !keys_.empty() && key == keys_[0] ? 1 : 0;
  if (matched_ == 0) out += key;
  if (matched_ == 1 && keys_.size() == 1) ending_ = Ending::detached;
}

void TerminalKeys::answered(std::string_view output) {
  while (output.starts_with(kEchoed)) output.remove_prefix(kEchoed.size());
  if (output.empty()) return;
  const std::lock_guard lock(mutex_);
  interrupts_ = 0;
}

TerminalKeys::Ending TerminalKeys::ending() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

}  // namespace lade
