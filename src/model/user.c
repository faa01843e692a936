/*
 * The chain that names the user of a session.
 *
 * Presets are chains themselves, of the keys that platforms document; keys that are only
 * rumoured are left to the operator, who can name them.
 */
#include "model/user.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>

static const struct {
    struct str name;
    struct str spec;
} presets[] = {
    {STR("jupyterhub"),
     STR("annotation:hub.jupyter.org/username,label-escaped:hub.jupyter.org/username")},
    /* The creator is on the Notebook, and on the pod only where a site copies it; one
     * namespace per user is that platform's rule. */
    {STR("kubeflow"), STR("annotation:notebooks.kubeflow.org/creator,namespace")},
    {STR("runai"), STR("label:runai/queue")},
    {STR("kai"), STR("label:kai.scheduler/queue,label:runai/queue")},
    {STR("kueue"), STR("label:kueue.x-k8s.io/queue-name")},
    {STR("volcano"), STR("annotation:volcano.sh/queue-name,label:volcano.sh/queue-name,"
                         "annotation:scheduling.volcano.sh/queue-name,"
                         "label:scheduling.volcano.sh/queue-name")},
    {STR("ray"), STR("label:ray.io/cluster")},
    {STR("training"), STR("label:training.kubeflow.org/job-name")},
    {STR("jobset"), STR("label:jobset.sigs.k8s.io/jobset-name")},
    {STR("argo"), STR("label:workflows.argoproj.io/workflow")},
    {STR("osmo"), STR("label:osmo.workflow_id")},
};

static const struct {
    struct str word; /* with its colon where a key follows */
    enum user_kind kind;
    bool is_escaped;
} words[] = {
    {STR("annotation:"), USER_ANNOTATION, false},
    {STR("label-escaped:"), USER_LABEL, true},
    {STR("label:"), USER_LABEL, false},
    {STR("namespace"), USER_NAMESPACE, false},
    {STR("owner"), USER_OWNER, false},
    {STR("unix"), USER_UNIX, false},
};

static bool takes_key(enum user_kind kind)
{
    return kind == USER_ANNOTATION || kind == USER_LABEL;
}

/* Return: 0 or -EINVAL; the rule's key is still to be added. */
static int rule_parse(struct str word, struct user_rule *rule, struct str *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        bool has_key = takes_key(words[i].kind);
        if (has_key ? !str_starts(word, words[i].word) : !str_equal(word, words[i].word))
            continue;
        *rule = (struct user_rule){
            .kind = words[i].kind, .is_escaped = words[i].is_escaped, .word = word};
        *key = str_part(word, words[i].word.n, word.n - words[i].word.n);
        return 0;
    }
    return -EINVAL;
}

static int add_rule(struct user_chain *chain, struct pod_keys *keys, struct str word)
{
    struct user_rule rule;
    struct str key;
    int rc = rule_parse(word, &rule, &key);
    if (rc == 0 && takes_key(rule.kind)) {
        ptrdiff_t at = pod_keys_add(keys, rule.kind == USER_ANNOTATION, key);
        rule.key = at < 0 ? 0 : (size_t)at;
        rc = at < 0 ? (int)at : 0;
    }
    if (rc == 0 && chain->count == USER_RULES_MAX)
        rc = -ENOSPC;
    if (rc == 0)
        chain->rules[chain->count++] = rule;
    return rc;
}

static const struct str *preset_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++) {
        if (str_equal(presets[i].name, name))
            return &presets[i].spec;
    }
    return NULL;
}

static int add_preset(struct user_chain *chain, struct pod_keys *keys, struct str name)
{
    const struct str *spec = preset_find(name);
    int rc = spec ? 0 : -EINVAL;
    struct str rest = spec ? *spec : STR(""), word;
    while (rc == 0 && str_split(&rest, ',', &word))
        rc = add_rule(chain, keys, word);
    return rc;
}

int user_chain_parse(struct str spec, struct user_chain *chain, struct pod_keys *keys,
                     struct str *wrong)
{
    static const struct str preset = STR("preset:");
    struct user_chain built = {.count = 0};
    struct str word;
    while (str_split(&spec, ',', &word)) {
        word = str_trim(word);
        int rc =
            str_starts(word, preset)
                ? add_preset(&built, keys, str_part(word, preset.n, word.n - preset.n))
                : add_rule(&built, keys, word);
        if (rc != 0) {
            *wrong = word;
            return rc;
        }
    }
    if (built.count == 0) {
        *wrong = STR("");
        return -EINVAL;
    }
    *chain = built;
    return 0;
}

bool user_chain_needs_metadata(const struct user_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (takes_key(chain->rules[i].kind) || chain->rules[i].kind == USER_OWNER)
            return true;
    }
    return false;
}

/* The value of lower-case hex digit C, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at the head of TEXT stands for, or -1. */
static int escaped_byte(struct str text)
{
    if (text.n < 3)
        return -1;
    int high = hex_value(text.p[1]), low = hex_value(text.p[2]);
    int byte = high < 0 || low < 0 ? -1 : high << 4 | low;
    /* A letter or digit is never escaped: "jane-41" is a name with a dash. */
    bool is_plain = byte > 0 && byte < 0x80 && isalnum(byte) && !isupper(byte);
    return byte > 0 && !is_plain ? byte : -1;
}

/* Return: false when TEXT has a dash that begins no escape. */
static bool unescape(struct str text, char *out, size_t *n)
{
    *n = 0;
    while (text.n) {
        int byte = text.p[0] == '-' ? escaped_byte(text) : text.p[0];
        size_t taken = text.p[0] == '-' ? 3 : 1;
        if (text.p[0] == '-' && byte < 0)
            return false;
        out[(*n)++] = (char)byte;
        text = str_part(text, taken, text.n - taken);
    }
    return true;
}

static bool is_utf8(struct str text)
{
    while (text.n) {
        size_t n = utf8_sequence(text);
        if (n == 0)
            return false;
        text = str_part(text, n, text.n - n);
    }
    return true;
}

const char *user_unescape(struct arena *arena, const char *text)
{
    size_t n = 0;
    char *out = arena_copy(arena, str_from(text));
    if (!out || !unescape(str_from(text), out, &n) || !is_utf8((struct str){out, n}))
        return out ? text : NULL;
    out[n] = '\0';
    return out;
}

static const char *unix_name(const struct user_facts *facts, struct arena *arena)
{
    if (facts->pod->state != POD_NONE)
        return "";
    if (facts->unix_user[0] || !facts->has_uid)
        return facts->unix_user;
    return arena_printf(arena, "%u", facts->uid);
}

/* What RULE finds, "" for nothing; NULL when memory is gone. */
static const char *rule_find(const struct user_rule *rule, const struct user_facts *facts,
                             struct arena *arena)
{
    const struct pod_identity *pod = facts->pod;
    const struct pod_metadata *metadata = pod->metadata;
    const char *found = NULL;
    switch (rule->kind) {
    case USER_ANNOTATION:
    case USER_LABEL:
        found = metadata ? metadata->values[rule->key] : NULL;
        if (found && rule->is_escaped)
            return user_unescape(arena, found);
        break;
    case USER_NAMESPACE:
        found = pod->state == POD_RESOLVED ? pod->namespace_ : NULL;
        break;
    case USER_OWNER: found = metadata ? metadata->owner : NULL; break;
    case USER_UNIX: return unix_name(facts, arena);
    case USER_NOBODY: break;
    }
    return found ? found : "";
}

int user_find(const struct user_chain *chain, const struct user_facts *facts,
              struct arena *arena, struct user *out)
{
    *out = (struct user){.name = ""};
    for (size_t i = 0; i < chain->count; i++) {
        const char *found = rule_find(&chain->rules[i], facts, arena);
        if (!found)
            return -ENOMEM;
        struct str name = str_trim(utf8_cut(str_trim(str_from(found)), USER_BYTES));
        if (!name.n)
            continue;
        out->name = arena_copy(arena, name);
        out->from = &chain->rules[i];
        return out->name ? 0 : -ENOMEM;
    }
    return 0;
}
