// tokenizer.h - byte-level BPE: text to token ids and back, in the files that Hugging Face
// `tokenizers` reads and writes (tokenizer.json).
//
// Sources: Sennrich, Haddow & Birch 2016, arXiv:1508.07909 (BPE); Radford et al. 2019, section 2.2,
// and the released encoder.py of GPT-2 (bytes as symbols). What GPT-2, Llama 3 and Qwen2 files use
// is understood; anything else is refused by name, never ignored. Ids equal those of the Python
// library, except for code points that one side's Unicode tables do not know yet (PCRE2 10.42 has
// Unicode 14, utf8proc 2.8 Unicode 15).
//
// Threads: a tokenizer is never written after it is made; any number of threads may use one, each
// with its own arena.
#ifndef MG_NETS_TOKENIZER_H
#define MG_NETS_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"

#define MG_TOKENIZER_FILE_MAX  ((size_t)64 << 20) // bytes of a tokenizer.json
#define MG_TOKENIZER_TEXT_MAX  ((size_t)64 << 20) // bytes of one text
#define MG_TOKENIZER_IDS_MAX   (1 << 20)          // ids, added tokens among them
#define MG_TOKENIZER_TOKEN_MAX 65535              // bytes of one token as the file writes it

typedef struct mg_tokenizer mg_tokenizer;

// Reads a tokenizer.json. On success *out is the caller's, ended by mg_tokenizer_free.
// Errors: MG_IO, MG_LIMIT, MG_NOMEM; MG_CORRUPT (not JSON, a hole or a repetition among the ids, a
// merge of unknown tokens, a byte without a token); MG_UNSUPPORTED (the part, named).
mg_err mg_tokenizer_load(mg_tokenizer **out, const char *path) MG_MUST_USE;
void   mg_tokenizer_free(mg_tokenizer *t); // NULL: no effect

// Writes the tokenizer.json: of a loaded tokenizer the very bytes it was loaded from. Error: MG_IO.
mg_err mg_tokenizer_save(const mg_tokenizer *t, const char *path) MG_MUST_USE;

// The ids of a text of UTF-8, on the arena. Added tokens that the text spells out become their ids,
// special ones too. add_special: with what the file's template puts around a text (Llama 3: its
// first token). Besides 4 bytes per id the arena is used and handed back: nearly always less than
// 32 bytes per byte of text is enough.
// Errors: MG_CORRUPT (not UTF-8; the sentence has the byte's offset: replacing such bytes is the
// caller's choice), MG_LIMIT (the text, the arena's room, the pattern's steps), MG_NOMEM.
mg_err mg_tokenizer_encode(const mg_tokenizer *t, const char *text, size_t size, bool add_special,
                           mg_arena *arena, int32_t **ids, int64_t *n) MG_MUST_USE;

// The ids of a text that nobody vouches for, such as a prompt, an observation or a row of data: as
// above without the template, but a special token or `stop` (-1: none) that the text spells out stays
// text. So does the Python library with encode_special_tokens, and where merges alone make such a
// token, which the library lets happen, the word is left as bytes (a token of a single byte is its byte).
// Same errors.
mg_err mg_tokenizer_encode_plain(const mg_tokenizer *t, const char *text, size_t size, int32_t stop,
                                 mg_arena *arena, int32_t **ids, int64_t *n) MG_MUST_USE;

// The bytes of the ids, on the arena, with a terminating 0 that size does not count. They need not
// be UTF-8: a token may hold part of a character, and a model may emit such parts in any order; the
// Python library shows U+FFFD there. skip_special leaves special tokens out.
// Errors: MG_MISMATCH (not an id of this tokenizer), MG_LIMIT (the arena's room).
mg_err mg_tokenizer_decode(const mg_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special,
                           mg_arena *arena, char **text, size_t *size) MG_MUST_USE;

int32_t mg_tokenizer_vocab_size(const mg_tokenizer *t); // ids are 0 .. vocab_size - 1

// The bytes that an id stands for, valid as long as the tokenizer. An added token outside the BPE
// vocabulary stands for its content, with `normalized` for the content's normal form. (The Python
// library decodes such content through the byte alphabet where it can, so there an added "é" comes
// back as the byte E9; here it comes back.)
const char *mg_tokenizer_token_bytes(const mg_tokenizer *t, int32_t id, size_t *size);

// The id of a token as the file spells it ("<|endoftext|>", "\u0120the"); -1: there is none.
int32_t mg_tokenizer_id(const mg_tokenizer *t, const char *content);
bool    mg_tokenizer_is_special(const mg_tokenizer *t, int32_t id);

// How texts are cut into words before merging, and the rest of the file's shape.
typedef enum mg_tokenizer_family {
    MG_TOKENIZER_GPT2,   // ByteLevel with GPT-2's pattern
    MG_TOKENIZER_LLAMA3, // Llama 3's pattern; words that are tokens are taken whole
    MG_TOKENIZER_QWEN2,  // NFC, Qwen2's pattern
} mg_tokenizer_family;

typedef struct mg_text {
    const char *data;
    size_t      size;
} mg_text;

typedef struct mg_tokenizer_training {
    mg_tokenizer_family family;
    const mg_text      *texts; // UTF-8
    int64_t             n_texts;
    int32_t             vocab_size;
    const char *const  *special; // [n_special], get the first ids
    int32_t             n_special;
    const char         *first; // the special token that add_special puts in front; NULL: none
} mg_tokenizer_training;

// Learns the merges that BpeTrainer of `tokenizers` learns with initial_alphabet =
// ByteLevel.alphabet() and min_frequency 0: the most frequent pair first; of equally frequent pairs
// the one with the smaller left id, then the smaller right id. Fewer ids than vocab_size when the
// texts have no pair left. Errors: MG_CONFIG (vocab_size, a special token), MG_CORRUPT (not UTF-8:
// which text), MG_LIMIT, MG_NOMEM.
mg_err mg_tokenizer_train(mg_tokenizer **out, const mg_tokenizer_training *how) MG_MUST_USE;
#endif
