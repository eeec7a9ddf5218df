// How the search ranks what it found: guides before the reference of functions and the changelog,
// and among equals the page whose title has the words. The numbers are Sphinx's own.
var Scorer = {
  score: ([page, title, , , score]) => {
    const query = new URLSearchParams(location.search).get("q") || "";
    const stems = query.toLowerCase().match(/\w+/g).map((word) => word.replace(/(ing|ed|es|e|s)$/, ""));
    const named = stems.filter((stem) => title.toLowerCase().includes(stem)).length;
    const later = page.startsWith("_api/") || page === "changelog" ? 30 : 0;
    return score + named - later;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
