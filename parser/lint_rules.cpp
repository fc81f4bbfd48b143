// The checks there are. Names, descriptions and pages are what BuildKit answers, too: clients and
// their scripts compare them.
#include "parser/lint.hpp"

#define LADE_RULE_PAGE "https://docs.docker.com/go/dockerfile/rule/"

namespace lade::parser::rules {

const LintRule kStageNameCasing{"StageNameCasing", "Stage names should be lowercase",
                                LADE_RULE_PAGE "stage-name-casing/"};
const LintRule kFromAsCasing{"FromAsCasing",
                             "The 'as' keyword should match the case of the 'from' keyword",
                             LADE_RULE_PAGE "from-as-casing/"};
const LintRule kNoEmptyContinuation{
    "NoEmptyContinuation", "Empty continuation lines will become errors in a future release",
    LADE_RULE_PAGE "no-empty-continuation/"};
const LintRule kConsistentInstructionCasing{
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    LADE_RULE_PAGE "consistent-instruction-casing/"};
const LintRule kDuplicateStageName{"DuplicateStageName", "Stage names should be unique",
                                   LADE_RULE_PAGE "duplicate-stage-name/"};
const LintRule kReservedStageName{"ReservedStageName",
                                  "Reserved words should not be used as stage names",
                                  LADE_RULE_PAGE "reserved-stage-name/"};
const LintRule kJsonArgsRecommended{"JSONArgsRecommended",
                                    "JSON arguments recommended for ENTRYPOINT/CMD to prevent "
                                    "unintended behavior related to OS signals",
                                    LADE_RULE_PAGE "json-args-recommended/"};
const LintRule kMaintainerDeprecated{
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    LADE_RULE_PAGE "maintainer-deprecated/"};
const LintRule kUndefinedArgInFrom{"UndefinedArgInFrom", "FROM command must use declared ARGs",
                                   LADE_RULE_PAGE "undefined-arg-in-from/"};
const LintRule kWorkdirRelativePath{
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build can have unexpected "
    "results if the base image changes",
    LADE_RULE_PAGE "workdir-relative-path/"};
const LintRule kUndefinedVar{"UndefinedVar", "Variables should be defined before their use",
                             LADE_RULE_PAGE "undefined-var/"};
const LintRule kMultipleInstructionsDisallowed{
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
    LADE_RULE_PAGE "multiple-instructions-disallowed/"};
const LintRule kLegacyKeyValueFormat{
    "LegacyKeyValueFormat", "Legacy key/value format with whitespace separator should not be used",
    LADE_RULE_PAGE "legacy-key-value-format/"};
const LintRule kInvalidBaseImagePlatform{
    "InvalidBaseImagePlatform", "Base image platform does not match expected target platform", ""};
const LintRule kRedundantTargetPlatform{"RedundantTargetPlatform",
                                        "Setting platform to predefined $TARGETPLATFORM in FROM is "
                                        "redundant as this is the default behavior",
                                        LADE_RULE_PAGE "redundant-target-platform/"};
const LintRule kSecretsUsedInArgOrEnv{
    "SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands",
    LADE_RULE_PAGE "secrets-used-in-arg-or-env/"};
const LintRule kInvalidDefaultArgInFrom{
    "InvalidDefaultArgInFrom",
    "Default value for global ARG results in an empty or invalid base image name",
    LADE_RULE_PAGE "invalid-default-arg-in-from/"};
const LintRule kFromPlatformFlagConstDisallowed{
    "FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value",
    LADE_RULE_PAGE "from-platform-flag-const-disallowed/"};
const LintRule kCopyIgnoredFile{"CopyIgnoredFile",
                                "Attempting to Copy file that is excluded by .dockerignore",
                                LADE_RULE_PAGE "copy-ignored-file/"};
const LintRule kInvalidDefinitionDescription{
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> "
    "<description>`. If this is not intended to be a description comment, add an empty line or "
    "comment between the instruction and the comment.",
    LADE_RULE_PAGE "invalid-definition-description/", true};
const LintRule kExposeProtoCasing{"ExposeProtoCasing",
                                  "Protocol in EXPOSE instruction should be lowercase",
                                  LADE_RULE_PAGE "expose-proto-casing/"};
const LintRule kExposeInvalidFormat{"ExposeInvalidFormat",
                                    "IP address and host-port mapping should not be used in EXPOSE "
                                    "instruction. This will become an error in a future release",
                                    LADE_RULE_PAGE "expose-invalid-format/"};

}  // namespace lade::parser::rules
