#include "app/ui/template.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 50;

[[noreturn]] void fail(const std::string& message) {
  throw Error("--format: " + message, ErrorKind::usage);
}

/// As Go's fmt prints it.
std::string shown(const Json& value) {
  if (value.is_null()) return "<nil>";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const auto& element : value) parts.push_back(shown(element));
    return "[" + join(parts, " ") + "]";
  }
  if (value.is_object()) {
    std::vector<std::string> parts;
    for (const auto& [key, member] : value.items()) parts.push_back(key + ":" + shown(member));
    return "map[" + join(parts, " ") + "]";
  }
  return value.dump();
}

bool truth(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value != 0;
  return !value.is_null() &&
         (value.is_string() ? !value.get_ref<const std::string&>().empty() : !value.empty());
}

const std::string& text_of(const Json& value, const char* function) {
  if (!value.is_string()) fail(fmt::format("{} wants a string, not {}", function, shown(value)));
  return value.get_ref<const std::string&>();
}

size_t number_of(const Json& value, const char* function) {
  if (!value.is_number_unsigned()) {
    fail(fmt::format("{} wants a number, not {}", function, shown(value)));
  }
  return value.get<size_t>();
}

Json index(const std::vector<Json>& args) {
  Json value = args.at(0);
  for (size_t i = 1; i < args.size(); ++i) {
    // A map that is not there is one of nothing, as Go's nil maps are.
    if (value.is_null() && args[i].is_string()) {
      value = Json("");
      continue;
    }
    if (value.is_object() && args[i].is_string()) {
      const auto found = value.find(args[i].get_ref<const std::string&>());
      value = found == value.end() ? Json("") : Json(*found);
      continue;
    }
    if (!value.is_array() && !value.is_null())
      fail("index wants a list or a map, not " + shown(value));
    const size_t position = number_of(args[i], "index");
    if (position >= value.size()) {
      fail(fmt::format("index {} is out of range: there are {}", position, value.size()));
    }
    value = Json(value[position]);
  }
  return value;
}

Json joined(const std::vector<Json>& args) {
  std::vector<std::string> parts;
  for (const auto& element : args.at(0)) parts.push_back(shown(element));
  return join(parts, text_of(args.at(1), "join"));
}

struct Function {
  size_t least;
  size_t most;
  Json (*call)(const std::vector<Json>& args);
};

const std::map<std::string, Function, std::less<>>& functions() {
  static const std::map<std::string, Function, std::less<>> all = {
      {"json",
       {1, 1,
        [](const auto& args) {
          return Json(args[0].dump(-1, ' ', false, Json::error_handler_t::replace));
        }}},
      {"len",
       {1, 1,
        [](const auto& args) {
          const Json& value = args[0];
          return Json(value.is_string() ? value.template get_ref<const std::string&>().size()
                                        : value.size());
        }}},
      {"index", {2, 8, index}},
      {"join", {2, 2, joined}},
      {"split",
       {2, 2,
        [](const auto& args) {
          const std::string& separator = text_of(args[1], "split");
          if (separator.size() != 1) fail("split wants a separator of one character");
          return Json(split(text_of(args[0], "split"), separator[0]));
        }}},
      {"lower", {1, 1, [](const auto& args) { return Json(to_lower(text_of(args[0], "lower"))); }}},
      {"upper", {1, 1, [](const auto& args) { return Json(to_upper(text_of(args[0], "upper"))); }}},
      {"truncate",
       {2, 2,
        [](const auto& args) {
          return Json(text_of(args[0], "truncate").substr(0, number_of(args[1], "truncate")));
        }}},
      {"println",
       {1, 8,
        [](const auto& args) {
          std::vector<std::string> parts;
          for (const auto& arg : args) parts.push_back(shown(arg));
          return Json(join(parts, " ") + "\n");
        }}},
      {"eq", {2, 2, [](const auto& args) { return Json(args[0] == args[1]); }}},
      {"ne", {2, 2, [](const auto& args) { return Json(args[0] != args[1]); }}},
      {"not", {1, 1, [](const auto& args) { return Json(!truth(args[0])); }}},
  };
  return all;
}

}  // namespace

/// A value: a constant, a path from "." or "$", or a function of expressions.
struct Template::Expression {
  enum class Kind { constant, dot, root, call } kind = Kind::constant;
  Json constant;
  std::vector<std::string> path;
  std::string function;
  std::vector<Expression> args;
};

struct Template::Node {
  enum class Kind { block, text, value, condition, range, with } kind = Kind::block;
  std::string text;
  Expression expression;
  std::vector<Node> children;
  std::vector<Node> otherwise;
};

/// Recursive descent over pieces of text and actions.
class Template::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { cut(); }

  Node parse() {
    Node root;
    const std::string end = block(root.children, 0);
    if (!end.empty()) fail("there is a {{" + end + "}} too many");
    return root;
  }

 private:
  struct Piece {
    bool action = false;
    std::string text;
  };

  void cut() {
    std::string_view rest = text_;
    bool trim_next = false;
    while (!rest.empty()) {
      const auto open = rest.find("{{");
      std::string_view plain = rest.substr(0, open);
      if (trim_next)
        plain.remove_prefix(std::min(plain.find_first_not_of(" \t\r\n"), plain.size()));
      trim_next = false;
      if (open == std::string_view::npos) {
        if (!plain.empty()) pieces_.push_back({false, std::string(plain)});
        return;
      }
      rest.remove_prefix(open + 2);
      const auto close = action_end(rest);
      std::string_view action = rest.substr(0, close);
      rest.remove_prefix(close + 2);
      if (action.starts_with("- ")) {
        plain = plain.substr(0, plain.find_last_not_of(" \t\r\n") + 1);
        action.remove_prefix(2);
      }
      if (action.ends_with(" -")) {
        action.remove_suffix(2);
        trim_next = true;
      }
      if (!plain.empty()) pieces_.push_back({false, std::string(plain)});
      action = trim(action);
      if (!action.starts_with("/*")) pieces_.push_back({true, std::string(action)});
    }
  }

  /// Where the "}}" is; strings may hold one.
  static size_t action_end(std::string_view rest) {
    char quote = 0;
    for (size_t i = 0; i + 1 < rest.size(); ++i) {
      if (quote == 0 && rest.substr(i, 2) == "}}") return i;
      if (quote == 0 && (rest[i] == '"' || rest[i] == '`')) {
        quote = rest[i];
      } else if (quote == '"' && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == quote) {
        quote = 0;
      }
    }
    fail("a {{ is not closed");
  }

  /// Nodes until an "end" or "else" (which is returned) or the end.
  std::string block(std::vector<Node>& out, int depth) {
    if (depth > kMaxDepth) fail("it is nested too deeply");
    while (next_ < pieces_.size()) {
      const Piece& piece = pieces_[next_++];
      if (!piece.action) {
        out.push_back({Node::Kind::text, piece.text, {}, {}, {}});
        continue;
      }
      const std::string word = piece.text.substr(0, piece.text.find_first_of(" \t"));
      if (word == "end" || word == "else") return piece.text;
      if (word == "if" || word == "range" || word == "with") {
        out.push_back(control(word, piece.text.substr(word.size()), depth));
      } else {
        out.push_back({Node::Kind::value, {}, expression(piece.text), {}, {}});
      }
    }
    return {};
  }

  Node control(const std::string& word, const std::string& condition, int depth) {
    Node node;
    node.kind = word == "if"      ? Node::Kind::condition
                : word == "range" ? Node::Kind::range
                                  : Node::Kind::with;
    node.expression = expression(condition);
    std::string end = block(node.children, depth + 1);
    if (end.starts_with("else if ")) {
      node.otherwise.push_back(control("if", end.substr(8), depth + 1));
      return node;
    }
    if (end == "else") end = block(node.otherwise, depth + 1);
    if (end != "end") fail("a {{" + word + "}} has no {{end}}");
    return node;
  }

  Expression expression(std::string_view text) {
    rest_ = trim(text);
    Expression out = pipeline(0);
    if (!rest_.empty()) fail("do not understand " + lade::quoted(rest_));
    return out;
  }

  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size()));
  }

  Expression pipeline(int depth) {
    if (depth > kMaxDepth) fail("it is nested too deeply");
    Expression value = command(depth);
    for (;;) {
      skip_blanks();
      if (!rest_.starts_with('|')) return value;
      rest_.remove_prefix(1);
      Expression next = command(depth);
      if (next.kind != Expression::Kind::call) fail("only functions may follow a |");
      next.args.push_back(std::move(value));
      check_arguments(next);
      value = std::move(next);
    }
  }

  static void check_arguments(const Expression& call) {
    const Function& function = functions().find(call.function)->second;
    if (call.args.size() < function.least || call.args.size() > function.most) {
      fail(fmt::format("{} takes {} arguments, not {}", call.function, function.least,
                       call.args.size()));
    }
  }

  Expression command(int depth) {
    skip_blanks();
    const auto length = std::min(rest_.find_first_of(" \t|)("), rest_.size());
    const std::string word(rest_.substr(0, length));
    if (!functions().contains(word)) return operand(depth);
    rest_.remove_prefix(length);
    Expression call;
    call.kind = Expression::Kind::call;
    call.function = word;
    for (skip_blanks(); !rest_.empty() && rest_[0] != '|' && rest_[0] != ')'; skip_blanks()) {
      call.args.push_back(operand(depth));
    }
    skip_blanks();
    // What a pipe brings is the last argument.
    if (!piped_next(call)) check_arguments(call);
    return call;
  }

  /// A call that lacks one argument may get it from the pipe that it ends.
  static bool piped_next(const Expression& call) {
    return call.args.size() + 1 == functions().find(call.function)->second.least;
  }

  Expression operand(int depth) {
    skip_blanks();
    if (rest_.empty()) fail("an action is empty or ends early");
    if (rest_[0] == '(') {
      rest_.remove_prefix(1);
      Expression out = pipeline(depth + 1);
      skip_blanks();
      if (!rest_.starts_with(')')) fail("a ( is not closed");
      rest_.remove_prefix(1);
      return out;
    }
    if (rest_[0] == '"' || rest_[0] == '`') return text_constant();
    const auto length = std::min(rest_.find_first_of(" \t|)("), rest_.size());
    const std::string word(rest_.substr(0, length));
    rest_.remove_prefix(length);
    if (word[0] == '.' || word[0] == '$') return path(word);
    Expression out;
    if (word == "true" || word == "false") {
      out.constant = word == "true";
      return out;
    }
    uint64_t number = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) {
      fail("there is no function " + lade::quoted(word));
    }
    out.constant = number;
    return out;
  }

  Expression text_constant() {
    const char quote = rest_[0];
    std::string text;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == quote) {
        rest_.remove_prefix(i + 1);
        Expression out;
        out.constant = text;
        return out;
      }
      if (quote == '"' && rest_[i] == '\\' && i + 1 < rest_.size()) {
        const char c = rest_[++i];
        text += c == 'n' ? '\n' : c == 't' ? '\t' : c;
      } else {
        text += rest_[i];
      }
    }
    fail("a string is not closed");
  }

  static Expression path(const std::string& word) {
    Expression out;
    out.kind = word[0] == '.' ? Expression::Kind::dot : Expression::Kind::root;
    for (auto& part : split(word, '.')) {
      if (!part.empty() && part != "$") out.path.push_back(std::move(part));
    }
    return out;
  }

  std::string_view text_;
  std::vector<Piece> pieces_;
  size_t next_ = 0;
  std::string_view rest_;
};

class Template::Renderer {
 public:
  explicit Renderer(const Json& root) : root_(root) {}

  void block(const std::vector<Node>& nodes, const Json& dot) {
    for (const auto& node : nodes) one(node, dot);
  }
  std::string take() { return std::move(out_); }

 private:
  void one(const Node& node, const Json& dot) {
    if (node.kind == Node::Kind::text) {
      out_ += node.text;
      return;
    }
    const std::optional<Json> value = evaluate(node.expression, dot);
    if (node.kind == Node::Kind::value) {
      out_ += value ? shown(*value) : "<no value>";
    } else if (!value || !truth(*value)) {
      block(node.otherwise, dot);
    } else if (node.kind == Node::Kind::range) {
      if (!value->is_structured()) fail("cannot range over " + shown(*value));
      for (const auto& element : *value) block(node.children, element);
    } else {
      block(node.children, node.kind == Node::Kind::with ? *value : dot);
    }
  }

  std::optional<Json> evaluate(const Expression& expression, const Json& dot) {
    switch (expression.kind) {
      case Expression::Kind::constant:
        return expression.constant;
      case Expression::Kind::dot:
        return follow(expression, dot);
      case Expression::Kind::root:
        return follow(expression, root_);
      case Expression::Kind::call:
        break;
    }
    std::vector<Json> args;
    for (const auto& arg : expression.args) {
      args.push_back(evaluate(arg, dot).value_or(Json()));
    }
    const auto& function = functions().find(expression.function)->second;
    if (args.size() < function.least) {
      fail(fmt::format("{} takes {} arguments", expression.function, function.least));
    }
    return function.call(args);
  }

  std::optional<Json> follow(const Expression& expression, const Json& from) const {
    const Json* value = &from;
    for (const auto& name : expression.path) {
      if (value->is_null()) return std::nullopt;
      if (!value->is_object()) {
        fail(fmt::format("cannot take the field {} of {}", name, shown(*value)));
      }
      const auto found = value->find(name);
      if (found == value->end()) {
        if (value == &root_) throw_no_field(name);
        return std::nullopt;
      }
      value = &*found;
    }
    return *value;
  }

  [[noreturn]] void throw_no_field(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& [key, value] : root_.items()) names.push_back(key);
    Error error(fmt::format("--format: there is no field {}", name), ErrorKind::usage);
    const std::string meant = nearest(name, names);
    error.set_hint(meant.empty() ? "there are: " + join(names, ", ")
                                 : fmt::format("did you mean {}?", meant));
    throw error;
  }

  const Json& root_;
  std::string out_;
};

Template::Template(std::string_view text) {
  std::string unescaped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n')) {
      unescaped += text[++i] == 't' ? '\t' : '\n';
    } else {
      unescaped += text[i];
    }
  }
  root_ = std::make_unique<Node>(Parser(unescaped).parse());
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(const Json& data) const {
  Renderer renderer(data);
  renderer.block(root_->children, data);
  return renderer.take();
}

}  // namespace lade
