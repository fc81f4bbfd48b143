// COPY and ADD.
#include <algorithm>

#include <fmt/format.h>

#include "base/error.hpp"
#include "parser/flags.hpp"
#include "parser/heredoc.hpp"
#include "parser/instruction.hpp"

namespace lade::parser {
namespace {

// The arguments first: with too few of them, flags are not even looked at.
std::vector<std::string> transfer_arguments(const Request& request, std::string_view keyword) {
  auto arguments = list_arguments(request);
  if (arguments.size() < 2) {
    throw Error(
        fmt::format("{} requires at least two arguments, but {} provided: the destination "
                    "could not be determined",
                    keyword, arguments.empty() ? "none was" : "only one was"));
  }
  return arguments;
}

InlineFile inline_file(const Heredoc& source, const std::vector<Heredoc>& heredocs) {
  InlineFile file{source.name, {}, source.expand};
  // Of two with the same name, the last one's content counts for both.
  const auto found = std::find_if(heredocs.rbegin(), heredocs.rend(), [&](const Heredoc& heredoc) {
    return heredoc.name == source.name;
  });
  if (found == heredocs.rend()) return file;
  file.content = source.strip_tabs ? strip_leading_tabs(found->content) : found->content;
  return file;
}

void set_paths(Transfer& transfer, std::vector<std::string> arguments, const Request& request,
               std::string_view keyword) {
  transfer.destination = std::move(arguments.back());
  arguments.pop_back();
  if (parse_heredoc_word(transfer.destination)) {
    throw Error(fmt::format("{} cannot accept a heredoc as a destination", keyword));
  }
  for (auto& argument : arguments) {
    if (const auto heredoc = parse_heredoc_word(argument)) {
      transfer.inline_files.push_back(inline_file(*heredoc, request.line.heredocs));
    } else {
      transfer.sources.push_back(std::move(argument));
    }
  }
}

FlagReader transfer_flags(Transfer& transfer) {
  FlagReader flags;
  flags.text("chown", transfer.chown).text("chmod", transfer.chmod);
  flags.boolean("link", transfer.link).list("exclude", transfer.excludes);
  return flags;
}

}  // namespace

Copy parse_copy(const Request& request) {
  Copy copy;
  auto arguments = transfer_arguments(request, "COPY");
  transfer_flags(copy.transfer)
      .text("from", copy.from)
      .boolean("parents", copy.parents)
      .read(request.command.flags);
  set_paths(copy.transfer, std::move(arguments), request, "COPY");
  return copy;
}

Add parse_add(const Request& request) {
  Add add;
  auto arguments = transfer_arguments(request, "ADD");
  transfer_flags(add.transfer)
      .boolean("keep-git-dir", add.keep_git_dir)
      .text("checksum", add.checksum)
      .boolean("unpack", add.unpack)
      .read(request.command.flags);
  set_paths(add.transfer, std::move(arguments), request, "ADD");
  return add;
}

}  // namespace lade::parser
