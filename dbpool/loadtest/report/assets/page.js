// Starts the page: buttons that copy, plots.
const Page = (() => {
  "use strict";
  function copies(root) {
    for (const button of root.querySelectorAll(".copy[hidden]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const code = button.parentElement.querySelector("code");
        try {
          await navigator.clipboard.writeText(code.textContent);
          button.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(code);
          button.textContent = "Press Ctrl+C";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
    }
  }
  copies(document);
  Plots.drawAll(JSON.parse(document.getElementById("figures").textContent));
  return { copies };
})();
