// words.c - the one place where text becomes words for scores.
#include "rewards/words.h"

static mg_word finish(uint64_t h) {
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    return h ? h : 1; // 0 marks a free place in tables
}

mg_word mg_word_pair(mg_word a, mg_word b) { return finish(a * 0x9E3779B97F4A7C15u + b); }

int64_t mg_words(const char *text, size_t size, bool ascii, int64_t n_max, mg_word *out) {
    int64_t n      = 0;
    bool    inside = false;
    mg_word h      = 0;
    for (size_t i = 0; i <= size; i++) {
        unsigned char c = i < size ? (unsigned char)text[i] : ' ';
        if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
        const bool letter =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!ascii && c >= 0x80);
        if (letter) {
            if (!inside) h = 0xCBF29CE484222325u;
            h = (h ^ c) * 0x100000001B3u;
        } else if (inside) {
            if (n < n_max) out[n] = finish(h);
            n++;
        }
        inside = letter;
    }
    return n;
}
