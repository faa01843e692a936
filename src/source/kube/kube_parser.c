/*
 * From JSON events to pods. Where in the document the scanner is, is one small number per
 * open container; two tables say which container leads where and which text is kept.
 */
#include "source/kube/kube_parser.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>

enum place {
    ELSEWHERE = 0,
    ROOT,
    LIST_METADATA,
    ITEMS,
    POD,
    METADATA,
    LABELS,
    ANNOTATIONS,
    OWNERS,
    OWNER,
};

/* KEY is empty for an element of an array. */
static const struct {
    struct str key;
    enum place from, to;
    enum scan_event container;
} ways[] = {
    {STR("metadata"), ROOT, LIST_METADATA, SCAN_OBJECT},
    {STR("items"), ROOT, ITEMS, SCAN_ARRAY},
    {STR(""), ITEMS, POD, SCAN_OBJECT},
    {STR("object"), ROOT, POD, SCAN_OBJECT},
    {STR("metadata"), POD, METADATA, SCAN_OBJECT},
    {STR("labels"), METADATA, LABELS, SCAN_OBJECT},
    {STR("annotations"), METADATA, ANNOTATIONS, SCAN_OBJECT},
    {STR("ownerReferences"), METADATA, OWNERS, SCAN_ARRAY},
    {STR(""), OWNERS, OWNER, SCAN_OBJECT},
};

#define FIELD(member)                                                                    \
    offsetof(struct kube_parser, member), sizeof((struct kube_parser *)0)->member

static const struct {
    struct str key;
    size_t offset;
    size_t bytes;
    enum place place;
    bool may_be_cut;
} fields[] = {
    {STR("kind"), FIELD(kind), ROOT, true},
    {STR("type"), FIELD(type), ROOT, true},
    {STR("resourceVersion"), FIELD(list_version), LIST_METADATA, true},
    {STR("message"), FIELD(message), POD, true},
    {STR("name"), FIELD(draft.name), METADATA, false},
    {STR("namespace"), FIELD(draft.namespace_), METADATA, false},
    {STR("uid"), FIELD(draft.uid), METADATA, false},
    {STR("resourceVersion"), FIELD(draft.version), METADATA, false},
    {STR("kubernetes.io/config.hash"), FIELD(draft.config_hash), ANNOTATIONS, true},
    {STR("pod-template-hash"), FIELD(draft.template_hash), LABELS, true},
    {STR("kind"), FIELD(draft.reference.kind), OWNER, true},
    {STR("name"), FIELD(draft.reference.name), OWNER, true},
};

static struct str key_of(const struct kube_parser *parser)
{
    return (struct str){parser->key, parser->key_bytes};
}

static enum place place_at(const struct kube_parser *parser, size_t depth)
{
    return depth ? (enum place)parser->places[depth - 1] : ELSEWHERE;
}

/* Copies at most CAPACITY - 1 bytes, on a character boundary. Return: whether all fit. */
static bool copy_text(char *to, size_t capacity, const struct scan_token *token)
{
    struct str text = utf8_cut(token->text, capacity - 1);
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return !token->is_cut && text.n == token->text.n;
}

static void draft_clear(struct kube_draft *draft)
{
    draft->uid[0] = draft->namespace_[0] = draft->name[0] = draft->version[0] = '\0';
    draft->config_hash[0] = draft->template_hash[0] = '\0';
    draft->owner = (struct kube_owner){.is_controller = false};
    draft->has_long_text = false;
    memset(draft->has_value, 0, sizeof draft->has_value);
}

static void enter(struct kube_parser *parser, const struct scan_token *token)
{
    enum place from = place_at(parser, token->depth), to = ELSEWHERE;
    if (token->depth == 0 && token->event == SCAN_OBJECT)
        to = ROOT;
    for (size_t i = 0; i < ARRAY_LENGTH(ways) && from != ELSEWHERE; i++) {
        if (ways[i].from == from && ways[i].container == token->event &&
            str_equal(ways[i].key, key_of(parser)))
            to = ways[i].to;
    }
    parser->places[token->depth] = (unsigned char)to;
    parser->key_bytes = 0;
    if (to == ITEMS)
        parser->has_items = true;
    if (to == POD)
        draft_clear(&parser->draft);
    if (to == OWNER)
        parser->draft.reference = (struct kube_owner){.is_controller = false};
}

static enum kube_change change_of(struct kube_parser *parser)
{
    static const struct {
        const char *type;
        enum kube_change change;
    } changes[] = {{"ADDED", KUBE_PRESENT},
                   {"MODIFIED", KUBE_PRESENT},
                   {"DELETED", KUBE_GONE},
                   {"BOOKMARK", KUBE_BOOKMARK},
                   {"ERROR", KUBE_ERROR}};
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        if (strcmp(parser->type, changes[i].type) == 0)
            return changes[i].change;
    }
    parser->is_unknown_event = true;
    return KUBE_ERROR;
}

static void end_event(struct kube_parser *parser)
{
    parser->event_bytes = 0;
    enum kube_change change = change_of(parser);
    if (!parser->is_unknown_event)
        parser->seen(parser->context, change, &parser->draft);
    parser->type[0] = parser->message[0] = '\0';
    parser->code = 0;
    draft_clear(&parser->draft);
}

static void leave(struct kube_parser *parser, const struct scan_token *token)
{
    enum place place = (enum place)parser->places[token->depth];
    parser->key_bytes = 0;
    if (place == OWNER && parser->draft.reference.is_controller)
        parser->draft.owner = parser->draft.reference;
    if (place == POD && parser->form == KUBE_LIST)
        parser->seen(parser->context, KUBE_PRESENT, &parser->draft);
    if (token->depth == 0 && parser->form == KUBE_WATCH)
        end_event(parser);
}

static void take_key(struct kube_parser *parser, const struct scan_token *token)
{
    parser->key_bytes =
        token->text.n > POD_KEY_BYTES || token->is_cut ? 0 : token->text.n;
    memcpy(parser->key, token->text.p, parser->key_bytes);
}

static void take_field(struct kube_parser *parser, enum place place,
                       const struct scan_token *token)
{
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (fields[i].place != place || !str_equal(fields[i].key, key_of(parser)))
            continue;
        char *to = (char *)parser + fields[i].offset;
        if (!copy_text(to, fields[i].bytes, token) && !fields[i].may_be_cut)
            parser->draft.has_long_text = true;
    }
}

static void take_value(struct kube_parser *parser, bool is_annotation,
                       const struct scan_token *token)
{
    ptrdiff_t at = pod_keys_find(parser->keys, is_annotation, key_of(parser));
    if (at < 0)
        return;
    parser->draft.has_value[at] = true;
    (void)copy_text(parser->draft.values[at], sizeof parser->draft.values[at], token);
}

static void take_string(struct kube_parser *parser, const struct scan_token *token)
{
    enum place place = place_at(parser, token->depth);
    if (place == ELSEWHERE || !parser->key_bytes)
        return;
    take_field(parser, place, token);
    if (place == LABELS || place == ANNOTATIONS)
        take_value(parser, place == ANNOTATIONS, token);
}

static void take_other(struct kube_parser *parser, const struct scan_token *token)
{
    enum place place = place_at(parser, token->depth);
    struct str key = key_of(parser);
    if (place == OWNER && str_equal(key, STR("controller")))
        parser->draft.reference.is_controller = token->event == SCAN_TRUE;
    if (place == POD && token->event == SCAN_NUMBER && str_equal(key, STR("code")) &&
        !str_u32(token->text, &parser->code))
        parser->code = 0;
    /* An empty list of Go's. */
    if (place == ROOT && token->event == SCAN_NULL && str_equal(key, STR("items")))
        parser->has_items = true;
}

static void handle(void *context, const struct scan_token *token)
{
    struct kube_parser *parser = context;
    switch (token->event) {
    case SCAN_OBJECT:
    case SCAN_ARRAY: enter(parser, token); break;
    case SCAN_OBJECT_END:
    case SCAN_ARRAY_END: leave(parser, token); break;
    case SCAN_KEY: take_key(parser, token); break;
    case SCAN_STRING: take_string(parser, token); break;
    case SCAN_NUMBER:
    case SCAN_TRUE:
    case SCAN_FALSE:
    case SCAN_NULL: take_other(parser, token); break;
    }
}

void kube_parser_init(struct kube_parser *parser, enum kube_form form,
                      const struct pod_keys *keys, kube_seen *seen, void *context)
{
    *parser = (struct kube_parser){
        .keys = keys, .form = form, .seen = seen, .context = context};
    json_scan_init(&parser->scan, handle, parser);
    parser->scan.allows_many = form == KUBE_WATCH;
}

int kube_parser_feed(struct kube_parser *parser, struct str piece, struct err *err)
{
    parser->event_bytes += piece.n;
    int rc = json_scan_feed(&parser->scan, piece, err);
    if (rc == 0 && parser->is_unknown_event)
        return err_set(err, EBADMSG, ERR_PARSE, 0, "not a watch event of Kubernetes");
    if (rc == 0 && parser->form == KUBE_WATCH &&
        parser->event_bytes > KUBE_EVENT_BYTES_MAX)
        return err_set(err, EMSGSIZE, ERR_PARSE, 0,
                       "a watch event that does not end within %d MiB",
                       KUBE_EVENT_BYTES_MAX >> 20);
    return rc;
}

int kube_parser_finish(struct kube_parser *parser, struct err *err)
{
    int rc = json_scan_finish(&parser->scan, err);
    if (rc == 0 && parser->form == KUBE_LIST &&
        (!parser->has_items || !str_ends(str_from(parser->kind), STR("List"))))
        return err_set(err, EBADMSG, ERR_PARSE, 0, "not a list of pods of Kubernetes");
    return rc;
}
