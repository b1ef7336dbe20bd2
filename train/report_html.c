// report_html.c - escaping.
#include "train/report_html.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Length of the well-formed sequence at p, or minus the length of the maximal ill-formed part
// (Unicode 15, table 3-7: what the second byte may be depends on the first).
static int sequence(const uint8_t *p, size_t size) {
    const uint8_t first = p[0];
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return -1;
    const int length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint8_t   low = 0x80, high = 0xbf;
    if (first == 0xe0) low = 0xa0;  // overlong
    if (first == 0xed) high = 0x9f; // surrogates
    if (first == 0xf0) low = 0x90;  // overlong
    if (first == 0xf4) high = 0x8f; // beyond U+10FFFF
    for (int i = 1; i < length; i++) {
        if ((size_t)i == size || p[i] < low || p[i] > high) return -i;
        low = 0x80, high = 0xbf;
    }
    return length;
}

static void put_ascii(FILE *out, uint8_t c) {
    switch (c) {
    case '&': fputs("&amp;", out); break;
    case '<': fputs("&lt;", out); break;
    case '>': fputs("&gt;", out); break;
    case '"': fputs("&quot;", out); break;
    case '\'': fputs("&#39;", out); break;
    case '\t':
    case '\n': fputc(c, out); break;
    case 0x7f: fputs("&#x2421;", out); break;
    default:
        if (c < 0x20) fprintf(out, "&#x%x;", 0x2400 + c);
        else fputc(c, out);
    }
}

void mg_html_text(FILE *out, const char *bytes, size_t size) {
    const uint8_t *p = (const uint8_t *)bytes;
    while (size > 0) {
        const int    n    = sequence(p, size);
        const size_t take = (size_t)abs(n);
        if (n == 1) put_ascii(out, *p);
        // U+0080 to U+009F are control characters too, but have no pictures.
        else if (n < 0 || (p[0] == 0xc2 && p[1] < 0xa0)) fputs("&#xfffd;", out);
        else fwrite(p, 1, take, out);
        p += take, size -= take;
    }
}

void mg_html_string(FILE *out, const char *s) {
    if (s) mg_html_text(out, s, strlen(s));
}

static void put_number(FILE *out, char *text) {
    char *e = strchr(text, 'e');
    if (e) *e = 0;
    // A zero that rounding made of a negative number has no sign.
    const bool minus = text[0] == '-', zero = strspn(text + minus, "0.") == strlen(text + minus);
    if (minus && !zero) fputs("&minus;", out);
    fputs(text + minus, out);
    if (!e) return;
    const int exponent = atoi(e + 1);
    fprintf(out, "e%s%d", exponent < 0 ? "&minus;" : "", abs(exponent));
}

void mg_html_number(FILE *out, double x, int decimals) {
    char text[400]; // a double has up to 309 digits before its point
    snprintf(text, sizeof text, "%.*f", decimals, x);
    if (isnan(x)) fputs("&ndash;", out);
    else put_number(out, text);
}

void mg_html_significant(FILE *out, double x, int digits) {
    char text[64];
    if (fabs(x) >= 1e4 && fabs(x) < 1e6) digits = 6; // no exponent yet
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (isnan(x)) fputs("&ndash;", out);
    else put_number(out, text);
}
