// report_html.h - texts and numbers as HTML: the one place where strangers' bytes become markup.
#ifndef MG_TRAIN_REPORT_HTML_H
#define MG_TRAIN_REPORT_HTML_H
#include <stddef.h>
#include <stdio.h>

// Safe between tags and inside quoted attributes. Each maximal ill-formed part becomes one U+FFFD
// (Unicode 15, section 3.9, "U+FFFD substitution of maximal subparts"); control characters but tab
// and newline become their visible pictures (U+2400...).
void mg_html_text(FILE *out, const char *bytes, size_t size);
void mg_html_string(FILE *out, const char *s); // NULL: nothing

// With a real minus sign, a short exponent, and a dash for NAN.
void mg_html_number(FILE *out, double x, int decimals);
void mg_html_significant(FILE *out, double x, int digits); // as %g
#endif
