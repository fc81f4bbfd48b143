// A program's command line: options, positional words and subcommands, read by one rule for all of
// lade's commands, which is docker's, that is, the Go library pflag's:
//
//   --name=VALUE, --name VALUE, -nVALUE, -n=VALUE, -n VALUE: the value, also an empty one after =
//   --flag, -f, -fg (two), --flag=BOOL, -f=BOOL: 1, t, T, true, True, TRUE, and the same of 0
//   of one that is given several times the last counts; lists take one value each time
//   options and words may be mixed; what follows -- is words; - is one
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

struct KnownOption;

/// The command line of a program or of one of its commands. What options are read into must live
/// until it is parsed. "-t,--tag" names an option, "CONTEXT" the next positional word.
class CommandLine {
 public:
  /// A handle, valid as long as its command line.
  class Option {
   public:
    explicit Option(KnownOption& known) : known_(&known) {}
    Option required();
    Option excludes(Option other);
    /// Not in --help.
    Option hidden();
    /// Subcommands take it, too.
    Option inherited();

   private:
    KnownOption* known_;
  };

  CommandLine(std::string description, std::string program);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Option add_option(const std::string& names, std::string& value, const std::string& description);
  Option add_option(const std::string& names, std::optional<std::string>& value,
                    const std::string& description);
  Option add_option(const std::string& names, int& value, const std::string& description);
  /// All positional words from here on.
  Option add_option(const std::string& name, std::vector<std::string>& values,
                    const std::string& description);
  /// An option that may be given several times, with one value each time.
  Option add_list(const std::string& names, std::vector<std::string>& values,
                  const std::string& description);
  Option add_flag(const std::string& names, bool& value, const std::string& description = "");
  /// "--pull{always}": `value` is "always" if the flag is given without one.
  Option add_flag(const std::string& names, std::string& value, const std::string& description);

  /// A command of this one, which owns it. Whoever has commands needs one of them.
  CommandLine& add_subcommand(const std::string& name, const std::string& description);
  /// Called when the command has been chosen and its options are set.
  void callback(std::function<void()> chosen);

  void set_help_flag(const std::string& names, const std::string& description);
  void set_version_flag(const std::string& names, const std::string& version,
                        const std::string& description);
  /// What follows the command's name in --help, if it is not made of its positional words.
  void set_usage(std::string words) { usage_ = std::move(words); }
  /// Sections that stand above the options in --help.
  void set_summary(std::string text) { summary_ = std::move(text); }
  /// Stands below them.
  void set_footer(std::string text) { footer_ = std::move(text); }
  std::string help() const;
  /// All that it takes, hidden or not: "--tag", "-t".
  std::vector<std::string> option_names() const;

  // What pages and completions are made of, next to help().
  const std::string& name() const { return name_; }
  const std::string& description() const { return description_; }
  const std::string& footer() const { return footer_; }
  std::string usage() const;
  const std::vector<std::unique_ptr<KnownOption>>& options() const { return options_; }
  const std::vector<std::unique_ptr<KnownOption>>& words() const { return words_; }
  /// Of its own or inherited, by one of its names; null if there is none.
  KnownOption* find(std::string_view name) const;
  /// Words that follow the first plain one are not its own.
  bool stops() const { return stops_; }
  /// Its commands.
  std::vector<const CommandLine*> subcommands() const;

  /// Ends at the first word that is no option: that and what follows are `remaining`.
  void stop_at_first_word() { stops_ = true; }
  /// Nothing is read: all words are `remaining`.
  void leave_unread() { unread_ = true; }
  const std::vector<std::string>& remaining() const { return remaining_; }

  /// `words` are what follows the command's name. False if help or the version was asked for, and
  /// printed. Throws Error(usage).
  bool parse(const std::vector<std::string>& words);

 private:
  class Reader;

  KnownOption& add(const std::string& names, const std::string& description);
  CommandLine* find_subcommand(std::string_view name) const;
  void place(const std::vector<std::string>& words);
  void check_exclusions() const;
  std::string help_hint() const;
  [[noreturn]] void throw_unknown_command(const std::string& name) const;

  std::string description_;
  std::string program_;  ///< with the names of the commands above: "lade manifest create"
  std::string name_;
  CommandLine* parent_ = nullptr;
  std::vector<std::unique_ptr<KnownOption>> options_;
  std::vector<std::unique_ptr<KnownOption>> words_;  ///< positional ones
  std::vector<std::unique_ptr<CommandLine>> subcommands_;
  std::function<void()> chosen_;
  std::string version_;
  std::string usage_;
  std::string summary_;
  std::string footer_;
  bool stops_ = false;
  bool unread_ = false;
  bool wants_help_ = false;
  bool wants_version_ = false;
  std::vector<std::string> remaining_;
};

}  // namespace lade
