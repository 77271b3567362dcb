// Put at the beginning of a page: keeps what goes wrong while it is made.
window.wrong = [];
addEventListener("error", (event) => window.wrong.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => window.wrong.push(`${event.violatedDirective} ${event.blockedURI}`));
for (const level of ["error", "warn"]) console[level] = (...texts) => window.wrong.push(texts.join(" "));
