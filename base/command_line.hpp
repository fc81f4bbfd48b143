// A program's command line: options, positional words and subcommands. CLI11 parses it, and only
// command_line.cpp includes that: its headers cost seconds in every file that does.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lade {

/// The command line is wrong.
class CommandLineError : public std::exception {
 public:
  CommandLineError(std::string message, std::string report)
      : message_(std::move(message)), report_(std::move(report)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  /// The message and where help is, in lines that are ready to be printed.
  const std::string& report() const { return report_; }

 private:
  std::string message_;
  std::string report_;
};

/// The command line of a program or of one of its commands. What options are read into must live
/// until it is parsed. Names are CLI11's: "-t,--tag" is an option, "CONTEXT" the next positional
/// word.
class CommandLine {
 public:
  /// A handle, valid as long as its command line.
  class Option {
   public:
    explicit Option(CLI::Option& option) : option_(&option) {}
    Option required();
    Option excludes(Option other);
    /// Not in --help.
    Option hidden();

   private:
    CLI::Option* option_;
  };

  /// As --help of the program as a whole lists it.
  struct OptionHelp {
    std::string names;
    std::string description;
    bool has_value;
  };

  CommandLine(const std::string& description, const std::string& program);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Option add_option(const std::string& names, std::string& value, const std::string& description);
  Option add_option(const std::string& names, std::optional<std::string>& value,
                    const std::string& description);
  Option add_option(const std::string& names, int& value, const std::string& description);
  /// Takes all the words that follow it.
  Option add_option(const std::string& names, std::vector<std::string>& values,
                    const std::string& description);
  /// An option that may be given several times, with one value each time.
  Option add_list(const std::string& names, std::vector<std::string>& values,
                  const std::string& description);
  Option add_flag(const std::string& names, bool& value, const std::string& description = "");
  /// "--pull{always}": `value` is "always" if the flag is given without one.
  Option add_flag(const std::string& names, std::string& value, const std::string& description);

  /// A command of this one, which owns it.
  CommandLine& add_subcommand(const std::string& name, const std::string& description);
  void require_subcommand();
  /// Called when the command has been chosen and its options are set.
  void callback(std::function<void()> chosen);

  void set_help_flag(const std::string& names, const std::string& description);
  void remove_help_flag();
  void set_version_flag(const std::string& names, const std::string& version,
                        const std::string& description);
  /// Replaces this command line's own help; that of its subcommands stays.
  void set_help(std::function<std::string()> text);
  void set_footer(const std::string& text);
  std::string help() const;
  std::vector<OptionHelp> options() const;

  /// Ends at the first word that is no option: that and what follows are `remaining`.
  void stop_at_first_word();
  std::vector<std::string> remaining() const;

  /// False if help or the version was asked for, and printed. Throws CommandLineError.
  bool parse(int argc, char** argv);

 private:
  explicit CommandLine(CLI::App& command);

  std::unique_ptr<CLI::App> owned_;  ///< null: a subcommand, which CLI11 owns
  CLI::App* app_;
  std::vector<std::unique_ptr<CommandLine>> subcommands_;
};

}  // namespace lade
