/* Who signs in next in this tab begins anew: what it remembered of lists and pages may hold a name searched for. */
(function () {
  "use strict";
  try { sessionStorage.clear(); } catch (error) { /* storage may be blocked */ }
})();
