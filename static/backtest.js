/* A slider beside a number: whichever is moved moves the other. `data-slider` names the slider's id. */
(function () {
  "use strict";
  function link(number) {
    var slider = document.getElementById(number.dataset.slider);
    if (!slider) return;
    slider.addEventListener("input", function () { number.value = slider.value; });
    number.addEventListener("input", function () { if (number.value !== "") slider.value = number.value; });
  }
  document.querySelectorAll("[data-slider]").forEach(link);
})();
