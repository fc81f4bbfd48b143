#include "base/command_line.hpp"

#include <sstream>

#include <CLI/CLI.hpp>

namespace lade {
namespace {

class OwnHelp : public CLI::Formatter {
 public:
  OwnHelp(const CLI::App& app, std::function<std::string()> text)
      : app_(app), text_(std::move(text)) {}

  // Subcommands inherit the formatter.
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    return app == &app_ ? text_() : Formatter::make_help(app, name, mode);
  }

 private:
  const CLI::App& app_;
  std::function<std::string()> text_;
};

}  // namespace

CommandLine::Option CommandLine::Option::required() {
  option_->required();
  return *this;
}

CommandLine::Option CommandLine::Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

CommandLine::Option CommandLine::Option::hidden() {
  option_->group("");
  return *this;
}

CommandLine::CommandLine(const std::string& description, const std::string& program)
    : owned_(std::make_unique<CLI::App>(description, program)), app_(owned_.get()) {}

CommandLine::CommandLine(CLI::App& command) : app_(&command) {}

CommandLine::~CommandLine() = default;

CommandLine::Option CommandLine::add_option(const std::string& names, std::string& value,
                                            const std::string& description) {
  return Option(*app_->add_option(names, value, description));
}

CommandLine::Option CommandLine::add_option(const std::string& names,
                                            std::optional<std::string>& value,
                                            const std::string& description) {
  return Option(*app_->add_option(names, value, description));
}

CommandLine::Option CommandLine::add_option(const std::string& names, int& value,
                                            const std::string& description) {
  return Option(*app_->add_option(names, value, description));
}

CommandLine::Option CommandLine::add_option(const std::string& names,
                                            std::vector<std::string>& values,
                                            const std::string& description) {
  return Option(*app_->add_option(names, values, description));
}

CommandLine::Option CommandLine::add_list(const std::string& names,
                                          std::vector<std::string>& values,
                                          const std::string& description) {
  return Option(*app_->add_option(names, values, description)->allow_extra_args(false));
}

CommandLine::Option CommandLine::add_flag(const std::string& names, bool& value,
                                          const std::string& description) {
  return Option(*app_->add_flag(names, value, description));
}

CommandLine::Option CommandLine::add_flag(const std::string& names, std::string& value,
                                          const std::string& description) {
  return Option(*app_->add_flag(names, value, description));
}

CommandLine& CommandLine::add_subcommand(const std::string& name, const std::string& description) {
  CLI::App& command = *app_->add_subcommand(name, description);
  subcommands_.push_back(std::unique_ptr<CommandLine>(new CommandLine(command)));
  return *subcommands_.back();
}

void CommandLine::require_subcommand() {
  app_->require_subcommand(1);
}

void CommandLine::callback(std::function<void()> chosen) {
  app_->callback(std::move(chosen));
}

void CommandLine::set_help_flag(const std::string& names, const std::string& description) {
  app_->set_help_flag(names, description);
}

void CommandLine::remove_help_flag() {
  app_->set_help_flag();
}

void CommandLine::set_version_flag(const std::string& names, const std::string& version,
                                   const std::string& description) {
  app_->set_version_flag(names, version, description);
}

void CommandLine::set_help(std::function<std::string()> text) {
  app_->formatter(std::make_shared<OwnHelp>(*app_, std::move(text)));
}

void CommandLine::set_footer(const std::string& text) {
  app_->footer(text);
}

std::string CommandLine::help() const {
  return app_->help();
}

std::vector<CommandLine::OptionHelp> CommandLine::options() const {
  std::vector<OptionHelp> out;
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    out.push_back({option->get_name(false, true), option->get_description(),
                   option->get_items_expected_max() > 0});
  }
  return out;
}

void CommandLine::stop_at_first_word() {
  app_->prefix_command();
}

std::vector<std::string> CommandLine::remaining() const {
  return app_->remaining();
}

bool CommandLine::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    std::ostringstream report;
    if (app_->exit(error, std::cout, report) == 0) return false;
    throw CommandLineError(error.what(), report.str());
  }
}

}  // namespace lade
