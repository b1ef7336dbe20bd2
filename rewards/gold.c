// gold.c - one function per check, in the order of the list in gold.h.
#include "rewards/gold.h"

#include <math.h>
#include <string.h>

#include "rewards/document_counts.h"

// English function words: they carry no content of their own. `using` and the like say nothing
// about a package either.
static const char FUNCTION_WORDS[] =
    "a about all also among an and any are as at be been between both but by can could did do "
    "does each for from had has have he her his i if in into is it its may might more most must "
    "no not of off on only onto or other our out over per shall she should so some such than that "
    "the their them then there these they this those through to under up use used using via was "
    "we were what when which while who whose will with without would you your";

static const char ARTICLES[]  = "a an the";
static const char SENTENCES[] = "are be contains is it provides these this was were";
static const char OPEN_ENDS[] = "a an and are as at by for from in into is its of on or that the "
                                "to via which with without";

enum { LIST_MAX = 128 };

typedef struct word_list {
    int64_t n;
    mg_word word[LIST_MAX];
} word_list;

struct mg_gold {
    int64_t            n;          // training pairs
    mg_document_counts words;      // pairs that hold a word
    mg_document_counts neighbours; // pairs that hold two words side by side
    word_list          function_words, articles, sentences, open_ends;
};

static bool holds(const mg_word *list, int64_t n, mg_word w) {
    for (int64_t i = 0; i < n; i++)
        if (list[i] == w) return true;
    return false;
}

static bool is_in(const word_list *l, mg_word w) { return holds(l->word, l->n, w); }

static word_list list_of(const char *text) {
    word_list l;
    l.n = mg_words(text, strlen(text), false, LIST_MAX, l.word);
    MG_ASSERT(l.n <= LIST_MAX);
    return l;
}

// ---- training -----------------------------------------------------------------------------

static mg_err count_text(mg_gold *g, const char *text, int32_t document) {
    mg_word       word[MG_GOLD_PROMPT_WORDS_MAX];
    const int64_t all = mg_words(text, strlen(text), false, MG_GOLD_PROMPT_WORDS_MAX, word);
    const int64_t n   = all < MG_GOLD_PROMPT_WORDS_MAX ? all : MG_GOLD_PROMPT_WORDS_MAX;
    mg_err        err = MG_OK;
    for (int64_t i = 0; i < n && !err; i++) {
        err = mg_document_counts_add(&g->words, word[i], document);
        if (i > 0 && !err)
            err = mg_document_counts_add(&g->neighbours, mg_word_pair(word[i - 1], word[i]),
                                         document);
    }
    return err;
}

mg_err mg_gold_new(mg_gold **out, const mg_pair *train, int64_t n) {
    if (n == 0) return mg_fail(MG_EMPTY, "gold: there are no training pairs to count words in");
    if (n > INT32_MAX) return mg_fail(MG_LIMIT, "gold: %lld training pairs", (long long)n);
    mg_gold *g = calloc(1, sizeof *g);
    if (!g) return mg_fail(MG_NOMEM, "gold: %zu bytes", sizeof *g);
    g->n              = n;
    g->function_words = list_of(FUNCTION_WORDS);
    g->articles       = list_of(ARTICLES);
    g->sentences      = list_of(SENTENCES);
    g->open_ends      = list_of(OPEN_ENDS);
    mg_err err        = MG_OK;
    for (int64_t i = 0; i < n && !err; i++) {
        err = count_text(g, train[i].prompt, (int32_t)i);
        if (!err) err = count_text(g, train[i].completion, (int32_t)i);
    }
    if (err)
        mg_gold_free(g);
    else
        *out = g;
    return err;
}

void mg_gold_free(mg_gold *g) {
    if (!g) return;
    mg_document_counts_release(&g->words);
    mg_document_counts_release(&g->neighbours);
    free(g);
}

// ---- what the checks look at --------------------------------------------------------------

typedef struct sheet {
    const mg_gold *g;
    const char    *answer;
    size_t         size;
    int64_t        n, n_content, n_prompt;
    int64_t        n_name; // the prompt's first words are the name's
    mg_word        word[MG_GOLD_WORDS_MAX];
    mg_word        content[MG_GOLD_WORDS_MAX]; // in order, repeated ones too
    mg_word        prompt[MG_GOLD_PROMPT_WORDS_MAX];
} sheet;

static void read_texts(sheet *s, const mg_gold *g, const char *prompt, const char *answer,
                       size_t size) {
    s->g      = g;
    s->answer = answer;
    s->size   = size;
    s->n      = mg_words(answer, size, false, MG_GOLD_WORDS_MAX, s->word);
    if (s->n > MG_GOLD_WORDS_MAX) s->n = MG_GOLD_WORDS_MAX;
    s->n_content = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (!is_in(&g->function_words, s->word[i])) s->content[s->n_content++] = s->word[i];

    const char *colon = strstr(prompt, ": ");
    s->n_name = colon ? mg_words(prompt, (size_t)(colon - prompt), false, 0, NULL) : 0;
    s->n_prompt =
        mg_words(prompt, strlen(prompt), false, MG_GOLD_PROMPT_WORDS_MAX, s->prompt);
    if (s->n_prompt > MG_GOLD_PROMPT_WORDS_MAX) s->n_prompt = MG_GOLD_PROMPT_WORDS_MAX;
}

static bool is_supported(const sheet *s, mg_word w) { return holds(s->prompt, s->n_prompt, w); }

static bool is_known(const sheet *s, mg_word w) {
    return mg_document_counts_get(&s->g->words, w) >= MG_GOLD_KNOWN_MIN || is_supported(s, w);
}

static bool are_neighbours(const sheet *s, mg_word a, mg_word b) {
    if (mg_document_counts_get(&s->g->neighbours, mg_word_pair(a, b)) > 0) return true;
    for (int64_t i = 1; i < s->n_prompt; i++)
        if (s->prompt[i - 1] == a && s->prompt[i] == b) return true;
    return false;
}

// Mean inverse document frequency of the different content words: log((1 + n) / (1 + n_w)). A word
// that nobody knows informs nobody.
static double mean_idf(const sheet *s, const mg_word *word, int64_t n) {
    double  sum   = 0;
    int64_t words = 0;
    for (int64_t i = 0; i < n; i++) {
        if (is_in(&s->g->function_words, word[i]) || holds(word, i, word[i])) continue;
        words++;
        if (is_known(s, word[i]))
            sum += log((double)(1 + s->g->n) /
                       (double)(1 + mg_document_counts_get(&s->g->words, word[i])));
    }
    return words ? sum / (double)words : 0;
}

// ---- the checks: each gives a degree in [0, 1], exactly 1 when passed ---------------------

static double degree(double x, double wanted) { return x >= wanted ? 1 : x / wanted; }

static double check_length(const sheet *s) {
    int64_t n = 0;
    for (size_t i = 0; i < s->size; i++)
        n += ((unsigned char)s->answer[i] & 0xC0) != 0x80; // not a continuation byte of UTF-8
    if (n > MG_GOLD_LENGTH_MAX) return MG_GOLD_LENGTH_MAX / (double)n;
    return degree((double)n, MG_GOLD_LENGTH_MIN);
}

static double check_plain(const sheet *s) {
    int64_t letters = 0, others = 0;
    for (size_t i = 0; i < s->size; i++) {
        const unsigned char c     = (unsigned char)s->answer[i];
        const bool          outer = i == 0 || i + 1 == s->size;
        if (c == ' ' && (outer || s->answer[i - 1] == ' ')) return 0;
        if (c < ' ' || c == 0x7F) return 0;
        const bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                            c >= 0x80;
        letters += letter;
        others += !letter && c != ' ';
    }
    return degree((double)letters / (double)(letters + others), MG_GOLD_PLAIN_MIN);
}

static double check_article(const sheet *s) { return !is_in(&s->g->articles, s->word[0]); }

static double check_name(const sheet *s) {
    return s->n_name == 0 || s->n < s->n_name ||
           memcmp(s->word, s->prompt, (size_t)s->n_name * sizeof(mg_word)) != 0;
}

static double check_ending(const sheet *s) {
    return !strchr(".,;:!?-", s->answer[s->size - 1]) &&
           !is_in(&s->g->open_ends, s->word[s->n - 1]);
}

static double check_phrase(const sheet *s) {
    for (int64_t i = 0; i < s->n; i++)
        if (is_in(&s->g->sentences, s->word[i])) return 0;
    return 1;
}

static double check_once(const sheet *s) {
    for (int64_t i = 1; i < s->n_content; i++)
        if (holds(s->content, i, s->content[i])) return 0;
    return s->n_content > 0;
}

static double check_known(const sheet *s) {
    int64_t known = 0;
    for (int64_t i = 0; i < s->n; i++) known += is_known(s, s->word[i]);
    return (double)known / (double)s->n;
}

static double check_order(const sheet *s) {
    if (s->n < 2) return 0;
    int64_t seen = 0;
    for (int64_t i = 1; i < s->n; i++) seen += are_neighbours(s, s->word[i - 1], s->word[i]);
    return degree((double)seen / (double)(s->n - 1), MG_GOLD_ORDER_MIN);
}

static double check_support(const sheet *s) {
    if (s->n_content == 0) return 0;
    int64_t supported = 0;
    for (int64_t i = 0; i < s->n_content; i++) supported += is_supported(s, s->content[i]);
    return degree((double)supported / (double)s->n_content, MG_GOLD_SUPPORT_MIN);
}

static double check_informative(const sheet *s) {
    const double usual = mean_idf(s, s->prompt, s->n_prompt);
    if (usual == 0) return 0;
    return degree(mean_idf(s, s->content, s->n_content) / usual, MG_GOLD_INFORMATIVE_MIN);
}

// ---- the score ----------------------------------------------------------------------------

const mg_gold_rule mg_gold_rules[] = {
#define X(name, weight, rule) {#name, weight, rule},
    MG_GOLD_CHECKS(X)
#undef X
};

double mg_gold_score(const mg_gold *g, const char *prompt, const char *answer, size_t size,
                     mg_gold_parts *parts) {
    static double (*const checks[])(const sheet *) = {
#define X(name, weight, rule) check_##name,
        MG_GOLD_CHECKS(X)
#undef X
    };
    mg_gold_parts p = {.passed = false};
    sheet         s;
    read_texts(&s, g, prompt, answer, size);
    if (s.n > 0) {
        p.passed = true;
        for (int i = 0; i < MG_GOLD_CHECKS_N; i++) {
            p.degree[i] = checks[i](&s);
            p.graded += mg_gold_rules[i].weight * p.degree[i];
            p.passed = p.passed && p.degree[i] == 1;
        }
    }
    if (parts) *parts = p;
    return p.passed ? 1 : p.graded / 2; // passed: graded is 1 but for rounding
}

mg_reward mg_gold_reward(void *context, const char *prompt, const char *answer, size_t size) {
    return mg_reward_of(mg_gold_score(context, prompt, answer, size, NULL));
}
