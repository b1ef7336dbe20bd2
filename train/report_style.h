// report_style.h - how report.html looks: a face for text, a face for figures, rules and no boxes.
#ifndef MG_TRAIN_REPORT_STYLE_H
#define MG_TRAIN_REPORT_STYLE_H

// Series: four colours that stay apart for colour-blind readers (after Okabe & Ito 2008), darkened
// or lightened to a contrast of at least 3 with the page; the fifth to eighth repeat them dashed.
#define MG_REPORT_STYLE                                                                            \
    ":root{color-scheme:light dark;--page:#fdfdfc;--ink:#1d1d1b;--quiet:#65655f;--rule:#d9d8d2;"   \
    "--mark:#f4e7c3;--link:#1f5b93;--bad:#a32a14;"                                                 \
    "--c0:#0a64a4;--c1:#c0490c;--c2:#00795a;--c3:#95477f;"                                         \
    "--text:Charter,'Bitstream Charter','Source Serif 4','Iowan Old Style',Palatino,Georgia,"      \
    "'DejaVu Serif',serif;"                                                                        \
    "--figures:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans','DejaVu Sans',"         \
    "sans-serif;--code:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}\n"      \
    "@media(prefers-color-scheme:dark){:root{--page:#161719;--ink:#e4e2dc;--quiet:#9b9a94;"        \
    "--rule:#37383b;--mark:#4a3f1d;--link:#86b8e8;--bad:#f08a72;"                                  \
    "--c0:#6db0ea;--c1:#f0894c;--c2:#4cc09b;--c3:#d792c4}}\n"                                      \
    "*{box-sizing:border-box}\n"                                                                   \
    "html{font:400 1.0625rem/1.55 var(--text);background:var(--page);color:var(--ink);"            \
    "-webkit-text-size-adjust:100%}\n"                                                             \
    "body{margin:0 auto;padding:3rem 1.5rem 5rem;max-width:74rem}\n"                               \
    "h1,h2,h3{line-height:1.25;font-weight:600;text-wrap:balance}\n"                               \
    "h1{font-size:2rem;margin:0 0 .6rem}\n"                                                        \
    "h2{font-size:1.35rem;margin:3.5rem 0 1rem;padding-top:1rem;"                                  \
    "border-top:1px solid var(--rule)}\n"                                                          \
    "h3{font-size:1.0625rem;margin:0 0 .6rem}\n"                                                   \
    "p{max-width:70ch;margin:0 0 1rem}\n"                                                          \
    ".lead{font-size:1.2rem;line-height:1.5}\n"                                                    \
    "a{color:var(--link);text-underline-offset:.15em}\n"                                           \
    "nav,figcaption,table,dt,pre,h3 small,.quiet,.legend{font-family:var(--figures)}\n"            \
    "nav{font-size:.875rem}\n"                                                                     \
    "nav ul,.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;list-style:none;margin:0;"        \
    "padding:0}\n"                                                                                 \
    ".quiet,small{color:var(--quiet);font-size:.8125rem;font-weight:400}\n"                        \
    ":focus-visible{outline:2px solid var(--link);outline-offset:2px}\n"                           \
    ".scroll{overflow-x:auto;margin:0 0 .5rem}\n"                                                  \
    "table{border-collapse:collapse;font-size:.875rem;line-height:1.4;"                            \
    "font-variant-numeric:tabular-nums lining-nums;border-bottom:1.5px solid var(--ink)}\n"        \
    "caption{text-align:left;max-width:min(70ch,calc(100vw - 2rem));font-weight:600;"              \
    "padding:0 0 .5rem}\n"                                                                         \
    "th,td{padding:.35rem 1.4rem .35rem 0;text-align:left;vertical-align:baseline;"                \
    "font-weight:400}\n"                                                                           \
    "th:last-child,td:last-child{padding-right:.2rem}\n"                                           \
    "thead th{border-top:1.5px solid var(--ink);border-bottom:1px solid var(--ink);"               \
    "color:var(--quiet);vertical-align:bottom}\n"                                                  \
    "tbody tr+tr>*{border-top:1px solid var(--rule)}\n"                                            \
    "tbody th{font-weight:600;white-space:nowrap;position:sticky;left:0;"                          \
    "background:var(--page)}\n"                                                                    \
    ".n{text-align:right;white-space:nowrap}\n"                                                    \
    ".v{padding-right:.5em}\n"                                                                     \
    ".i{color:var(--quiet);font-size:.8125rem}\n"                                                  \
    ".curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));"    \
    "gap:2rem 2.2rem}\n"                                                                           \
    "figure{margin:0;min-width:0}\n"                                                               \
    "figcaption{font-size:.875rem;font-weight:600;overflow-wrap:anywhere}\n"                       \
    ".last{color:var(--quiet);font-weight:400;margin-left:.5em;"                                   \
    "font-variant-numeric:tabular-nums}\n"                                                         \
    ".legend{font-size:.8125rem;gap:.1rem 1rem}\n"                                                 \
    ".legend svg{width:24px;height:8px;margin-right:.4em}\n"                                       \
    "figure>svg{display:block;width:100%;height:auto;overflow:visible}\n"                          \
    "svg text{font:11px var(--figures);font-variant-numeric:tabular-nums;fill:var(--quiet)}\n"     \
    ".axis path{stroke:var(--rule);fill:none}\n"                                                   \
    ".y{text-anchor:end}.x{text-anchor:middle}\n"                                                  \
    ".line{fill:none;stroke-width:1.25;stroke-linejoin:round;stroke-linecap:round}\n"              \
    ".s0,.s4{stroke:var(--c0)}.s1,.s5{stroke:var(--c1)}.s2,.s6{stroke:var(--c2)}"                  \
    ".s3,.s7{stroke:var(--c3)}.s4,.s5,.s6,.s7{stroke-dasharray:5 4}\n"                             \
    "article{margin:0 0 2.5rem;max-width:64rem}\n"                                                 \
    "h3 small{margin-left:.6em}\n"                                                                 \
    "dl{display:grid;grid-template-columns:7.5rem minmax(0,1fr);gap:.3rem 1rem;margin:0}\n"        \
    "dt{color:var(--quiet);font-size:.8125rem;line-height:1.6rem}\n"                               \
    "dd{margin:0;max-width:70ch}.wide{max-width:none;min-width:0}\n"                              \
    ".steps{max-height:24rem;overflow:auto}.steps th,.steps td{padding:.15rem 1rem .15rem 0}\n"    \
    ".steps thead{position:sticky;top:0;background:var(--page)}\n"                                \
    ".words{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext}\n"                 \
    ".facts{font:.875rem/1.6rem var(--figures);font-variant-numeric:tabular-nums}\n"               \
    "mark{background:var(--mark);color:inherit;border-bottom:1.5px solid var(--quiet)}\n"          \
    ".bad{color:var(--bad);font-weight:600}\n"                                                     \
    "pre{font:.8125rem/1.5 var(--code);white-space:pre-wrap;overflow-wrap:anywhere;margin:0;"      \
    "columns:2 26rem;column-gap:3rem}\n"                                                           \
    "footer{margin-top:4rem}\n"                                                                    \
    "@media(max-width:36rem){body{padding:1.5rem 1rem 3rem}h1{font-size:1.6rem}"                   \
    "dl{display:block}dd{margin:0 0 .7rem}dt{line-height:1.4}}\n"                                  \
    "@media print{body{max-width:none;padding:0}.steps{max-height:none}"                           \
    "figure,table,h2,h3{break-inside:avoid;"                                                       \
    "break-after:avoid}}\n"
#endif
